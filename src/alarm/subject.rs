//! What an alarm is about, in the words of the pages and metrics, where it is the alarm's `object`.
//!
//! What always holds: each says of which forwarder or source it is, so that what goes with one needs no list.

use std::{fmt, sync::Arc};

/// Whose alarm it is. They stand in the order of their words, which is that of alarms raised at the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmSubject {
    /// The file of the configuration.
    Configuration,
    /// What copies the lines of a source's files to its spool.
    Copier(Arc<str>),
    /// A forwarder's.
    DeadLetters(Arc<str>),
    /// Those of a source that is spooled.
    Files(Arc<str>),
    Forwarder(Arc<str>),
    /// A forwarder's, as it was found.
    Journal(Arc<str>),
    /// What accepts the connections of a source.
    Listener(Arc<str>),
    StateDirLock,
    /// A source, with the spool that it uses.
    Source(Arc<str>),
    /// What is left of one that a source used before.
    Spool(Arc<str>),
}

impl AlarmSubject {
    pub fn forwarder(name: &str) -> Self {
        Self::Forwarder(name.into())
    }

    pub fn journal(forwarder: &str) -> Self {
        Self::Journal(forwarder.into())
    }

    pub fn dead_letters(forwarder: &str) -> Self {
        Self::DeadLetters(forwarder.into())
    }

    pub fn source(name: &str) -> Self {
        Self::Source(name.into())
    }

    pub fn files(source: &str) -> Self {
        Self::Files(source.into())
    }

    pub fn copier(source: &str) -> Self {
        Self::Copier(source.into())
    }

    pub fn listener(source: &str) -> Self {
        Self::Listener(source.into())
    }

    pub fn spool(source: &str) -> Self {
        Self::Spool(source.into())
    }

    /// Whether it goes where `whole` goes: it is that, or a part of that forwarder or source.
    pub fn is_of(&self, whole: &Self) -> bool {
        match self {
            Self::Configuration | Self::StateDirLock => self == whole,
            Self::Forwarder(name) | Self::Journal(name) | Self::DeadLetters(name) => {
                matches!(whole, Self::Forwarder(forwarder) if forwarder == name)
            }
            Self::Source(name)
            | Self::Files(name)
            | Self::Copier(name)
            | Self::Listener(name)
            | Self::Spool(name) => {
                matches!(whole, Self::Source(source) if source == name)
            }
        }
    }
}

impl fmt::Display for AlarmSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("configuration"),
            Self::Copier(source) => write!(f, "copy of source {source}"),
            Self::DeadLetters(forwarder) => write!(f, "dead letters of {forwarder}"),
            Self::Files(source) => write!(f, "files of source {source}"),
            Self::Forwarder(name) => write!(f, "forwarder {name}"),
            Self::Journal(forwarder) => write!(f, "journal of {forwarder}"),
            Self::Listener(source) => write!(f, "listener of {source}"),
            Self::StateDirLock => f.write_str("lock of the state directory"),
            Self::Source(name) => write!(f, "source {name}"),
            Self::Spool(source) => write!(f, "spool of source {source}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [AlarmSubject; 10] {
        [
            AlarmSubject::Configuration,
            AlarmSubject::copier("app"),
            AlarmSubject::dead_letters("siem"),
            AlarmSubject::files("app"),
            AlarmSubject::forwarder("siem"),
            AlarmSubject::journal("siem"),
            AlarmSubject::listener("app"),
            AlarmSubject::StateDirLock,
            AlarmSubject::source("app"),
            AlarmSubject::spool("app"),
        ]
    }

    #[test]
    fn pages_and_alerts_know_these_words() {
        let words = [
            "configuration",
            "copy of source app",
            "dead letters of siem",
            "files of source app",
            "forwarder siem",
            "journal of siem",
            "listener of app",
            "lock of the state directory",
            "source app",
            "spool of source app",
        ];
        assert_eq!(all().map(|subject| subject.to_string()), words);
        assert!(all().is_sorted() && words.is_sorted());
    }

    #[test]
    fn what_is_of_a_forwarder_or_a_source_is_known_by_its_name() {
        let of = |whole: AlarmSubject| all().iter().filter(|subject| subject.is_of(&whole)).count();
        assert_eq!(of(AlarmSubject::forwarder("siem")), 3);
        assert_eq!(of(AlarmSubject::source("app")), 5);
        assert_eq!(of(AlarmSubject::Configuration), 1);
        // A forwarder and a source of one name are two, and nothing is of a part.
        assert_eq!(of(AlarmSubject::forwarder("app")) + of(AlarmSubject::source("siem")), 0);
        assert_eq!(of(AlarmSubject::journal("siem")), 0);
    }
}
