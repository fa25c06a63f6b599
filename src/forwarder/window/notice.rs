//! What the window has to say to an operator: lines and alarms, as values.

use std::{fmt, sync::Arc};

use tracing::{Level, error, info, warn};

use crate::{
    alarm::{AlarmKind, AlarmSubject},
    forwarder::judge::Notice,
};

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowNotice {
    Receiver(Notice),
    /// A batch that a restart left goes again as it was.
    SentAgain {
        n: u64,
        id: String,
        events: u64,
    },
    /// The same bytes, under rules that count otherwise what stands beside its events.
    Recounted {
        n: u64,
        was: u64,
        id: String,
    },
    SentAnew {
        n: u64,
        was: u64,
        id: String,
    },
    /// The current rules let nothing of it pass.
    NothingPasses {
        n: u64,
        filtered: u64,
        dead_lettered: u64,
    },
    /// A batch of a source that is not followed any more.
    Unfollowed {
        n: u64,
        source: String,
    },
}

/// An alarm of a forwarder, raised until it is cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WindowAlarm {
    Held {
        cause: String,
    },
    /// Nothing is settled.
    Stalled {
        seconds: u64,
        /// For so many seconds something has been being written to the state directory.
        writing: Option<u64>,
        state: &'static str,
        cause: String,
    },
    /// Dead letters cannot be written.
    DeadLetters {
        error: String,
    },
    /// A batch that a restart left cannot be taken up.
    Unread {
        n: u64,
        source: Arc<str>,
        error: String,
        forwarder: String,
    },
}

impl WindowNotice {
    pub fn log(&self, forwarder: &str) {
        match self {
            Self::Receiver(notice) => match notice.level() {
                Level::ERROR => error!(forwarder, "{notice}"),
                Level::WARN => warn!(forwarder, "{notice}"),
                _ => info!(forwarder, "{notice}"),
            },
            Self::SentAgain { n, id, events } => info!(
                forwarder,
                batch = n,
                id,
                events,
                "sending a batch again that was not settled before the restart"
            ),
            Self::Recounted { n, was, id } => info!(
                forwarder,
                batch = n,
                was,
                id,
                "sending a batch again under its id; what it covers beside its events is counted anew"
            ),
            Self::SentAnew { n, was, id } => {
                info!(forwarder, batch = n, was, id, "sending what remains of a batch under a new id");
            }
            Self::NothingPasses { n, filtered, dead_lettered } => info!(
                forwarder,
                batch = n,
                filtered,
                dead_lettered,
                "the current rules let nothing of this batch pass"
            ),
            Self::Unfollowed { n, source } => warn!(
                forwarder,
                source,
                batch = n,
                "a batch of a source that this forwarder no longer follows is left as it is; add the source again, or use `auditpost cursors forget`"
            ),
        }
    }
}

impl WindowAlarm {
    pub fn subject(&self, forwarder: &str) -> AlarmSubject {
        match self {
            Self::Held { .. } | Self::Stalled { .. } => AlarmSubject::forwarder(forwarder),
            Self::DeadLetters { .. } => AlarmSubject::dead_letters(forwarder),
            Self::Unread { source, .. } => AlarmSubject::source(source),
        }
    }

    pub fn kind(&self) -> AlarmKind {
        match self {
            Self::Held { .. } => AlarmKind::Held,
            Self::Stalled { .. } | Self::Unread { .. } => AlarmKind::Stalled,
            Self::DeadLetters { .. } => AlarmKind::State,
        }
    }

    /// The line that goes with a new alarm. That the receiver refuses us is told as a notice.
    pub fn log(&self, forwarder: &str) {
        match self {
            Self::Held { .. } => {}
            Self::Stalled { state, cause, .. } => error!(forwarder, state, cause, "{self}"),
            Self::DeadLetters { .. } => error!(forwarder, "{self}"),
            Self::Unread { n, source, .. } => error!(forwarder, source = &**source, batch = n, "{self}"),
        }
    }
}

impl fmt::Display for WindowAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { cause } => f.write_str(cause),
            Self::Stalled { seconds, writing, .. } => {
                write!(f, "there is a backlog and nothing was settled for {seconds} s")?;
                match writing {
                    None => Ok(()),
                    Some(writing) => {
                        write!(f, ": a write to the state directory has not ended for {writing} s; look at its disk")
                    }
                }
            }
            Self::DeadLetters { error } => write!(
                f,
                "dead letters cannot be written ({error}): this forwarder waits, so that nothing is passed over; make room or mend the state directory"
            ),
            Self::Unread { error, forwarder, .. } => write!(
                f,
                "a batch that was not settled before the restart cannot be taken up again: {error}; {forwarder} waits for it, nothing is lost"
            ),
        }
    }
}
