//! Where all that a source is sent goes: its spool. What is not taken is counted and said.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use memchr::{memchr, memrchr};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    framing::FramedItem,
    spool::{Intake, Refused},
    stats::{IntakeRefusal, SourceStats},
    syslog,
};
use crate::{
    alarm::{AlarmKind, AlarmSubject, Alarms},
    config::{Source, SourceFraming},
};

/// The longest record that is kept as it came, unless `maxEventBytes` is more. One above `maxEventBytes` goes to the
/// dead letters from there, whole in the spool.
const LONGEST: usize = 8 * 1024 * 1024;

/// How long a stop waits for room for what was received.
const GRACE: Duration = Duration::from_secs(2);

/// The way into the spool of one source. Clones share it.
#[derive(Clone)]
pub struct SpoolWriter {
    pub name: Arc<str>,
    pub stats: Arc<SourceStats>,
    pub alarms: Arc<Alarms>,
    intake: Intake,
    longest: usize,
    /// More bytes than these are not put together: all of them might never fit.
    part: usize,
}

impl SpoolWriter {
    pub fn new(source: &Source, intake: Intake, stats: Arc<SourceStats>, alarms: Arc<Alarms>) -> Self {
        let total = source.kind.spool().map_or(u64::MAX, |spool| spool.max_bytes);
        Self {
            name: source.name.as_str().into(),
            stats,
            alarms,
            intake,
            longest: longest(source),
            part: usize::try_from(total / 4).unwrap_or(usize::MAX),
        }
    }

    /// The way past all this, for who can be told to come again.
    pub fn intake(&self) -> Intake {
        self.intake.clone()
    }

    /// The longest record that is kept as it came.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// The most bytes that are put together.
    pub fn part(&self) -> usize {
        self.part
    }

    /// Puts whole lines and waits for as long as there is no room; after `stop` only for a moment.
    pub async fn put(&self, lines: Bytes, stop: &CancellationToken) -> Result<(), Refused> {
        let late = async {
            stop.cancelled().await;
            sleep(GRACE).await;
        };
        tokio::select! {
            put = self.put_all(lines) => put,
            () = late => Err(Refused::Stopping),
        }
    }

    async fn put_all(&self, mut lines: Bytes) -> Result<(), Refused> {
        while lines.len() > self.part {
            let fits = memrchr(b'\n', &lines[..self.part]).or_else(|| memchr(b'\n', &lines));
            let Some(end) = fits else { break };
            self.intake.put_patiently(lines.split_to(end + 1)).await?;
        }
        if lines.is_empty() { Ok(()) } else { self.intake.put_patiently(lines).await }
    }

    /// Something was not taken: it is counted, said, and shown for as long as the process lives where it is lost.
    pub fn refuse(&self, reason: IntakeRefusal, text: &str) {
        self.stats.refuse(reason, 1);
        warn!(source = &*self.name, reason = reason.name(), "{text}");
        if reason.is_loss() {
            let subject = AlarmSubject::source(&self.name);
            self.alarms.raise_about(&subject, AlarmKind::Gap, reason.name(), text, Timestamp::now());
        }
    }
}

/// The longest record of a source that is kept as it came. Three quarters of the spool always come free: its newest
/// segment, which is not released, is at most a quarter.
pub fn longest(source: &Source) -> usize {
    let total = source.kind.spool().map_or(u64::MAX, |spool| spool.max_bytes);
    let fits = usize::try_from(total / 4 * 3 - 1).unwrap_or(usize::MAX);
    source.max_event_bytes.max(LONGEST).min(fits)
}

/// Lines that are put together.
#[derive(Debug)]
pub struct SpoolLines {
    framing: SourceFraming,
    pub bytes: Vec<u8>,
    pub records: u64,
}

impl SpoolLines {
    pub fn new(framing: SourceFraming) -> Self {
        Self { framing, bytes: Vec::new(), records: 0 }
    }

    /// Adds a record. Of one that was too long its length and digest stay, as an event of their own.
    pub fn add(&mut self, frame: &FramedItem<'_>) {
        match frame {
            FramedItem::Record(record) => {
                let event = match self.framing {
                    SourceFraming::Lines => record,
                    SourceFraming::Syslog => syslog::message(record),
                };
                self.bytes.extend_from_slice(event);
            }
            FramedItem::TooLong(digest) => {
                let stub = serde_json::json!({
                    "auditpost": {"stub": "line_too_long", "bytes": digest.bytes, "sha256": digest.hex()}
                });
                self.bytes.extend_from_slice(stub.to_string().as_bytes());
            }
        }
        self.bytes.push(b'\n');
        self.records += 1;
    }
}
