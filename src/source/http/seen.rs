//! Requests that were taken before, so that one that comes again is answered as the first and not stored twice.
//!
//! A request is known by its id (`webhook-id` or `Idempotency-Key`) and its body together: the same id with another
//! body is another request. The last [`MOST`] of a day are remembered.
//!
//! ```text
//! <stateDir>/sources/<source>/seen     {"id":"<32 hex digits>","at":<unix seconds>}, checksummed lines
//! ```
//!
//! A line is written after the events are in the spool and before the sender is told. A crash between the two, or a
//! power cut, for it is not synced, costs a duplicate and never an event. Damage costs the line.

use std::{
    collections::{HashMap, VecDeque},
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::warn;

use crate::durable::{
    self,
    lines::{self, ChecksummedLine, ChecksummedLines},
};

/// Requests that are remembered.
pub(super) const MOST: usize = 65_536;

/// For how long.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);

/// The first half of SHA-256 over the id and the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u128);

impl Fingerprint {
    pub(super) fn of(id: &[u8], body: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update((id.len() as u64).to_be_bytes());
        hasher.update(id);
        hasher.update(body);
        let digest: [u8; 32] = hasher.finalize().into();
        Self(digest[..16].iter().fold(0, |all, byte| all << 8 | u128::from(*byte)))
    }
}

/// What is remembered, and the file of it. Clones share it.
#[derive(Clone)]
pub(super) struct Seen(Arc<Mutex<SeenState>>);

struct SeenState {
    source: String,
    path: PathBuf,
    known: HashMap<Fingerprint, u64>,
    order: VecDeque<(Fingerprint, u64)>,
    /// Requests that are being stored; whoever waits for one is told by the end of its channel.
    under_way: HashMap<Fingerprint, watch::Sender<()>>,
    /// `None` where it must be written anew before anything is appended.
    file: Option<File>,
    lines: usize,
    failing: bool,
}

/// What is to be done with a request.
pub(super) enum Claim {
    /// It was taken before.
    Taken,
    /// It is being stored for somebody else.
    Wait(watch::Receiver<()>),
    /// It is for the caller to store.
    Ours(Ours),
}

/// A request that nobody else stores until this is dropped.
pub(super) struct Ours {
    seen: Seen,
    fingerprint: Fingerprint,
}

#[derive(Serialize, Deserialize)]
struct SeenRequest {
    id: String,
    at: u64,
}

impl Seen {
    /// Reads what is there. A file that cannot be read is no reason not to take events: they may come twice.
    pub(super) fn open(source: &str, path: &Path, unix_now: u64) -> Self {
        let mut inner = SeenState {
            source: source.to_owned(),
            path: path.to_owned(),
            known: HashMap::new(),
            order: VecDeque::new(),
            under_way: HashMap::new(),
            file: None,
            lines: 0,
            failing: false,
        };
        let whole = match inner.load(unix_now) {
            Ok(whole) => whole,
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => {
                warn!(source, path = %path.display(), %error,
                    "which requests were taken before cannot be read: events that are sent again are stored again");
                false
            }
        };
        if whole {
            inner.file = durable::append_file(path).ok();
        }
        Self(Arc::new(Mutex::new(inner)))
    }

    pub(super) fn claim(&self, fingerprint: Fingerprint, unix_now: u64) -> Claim {
        let mut inner = self.lock();
        inner.forget(unix_now);
        if inner.known.contains_key(&fingerprint) {
            return Claim::Taken;
        }
        if let Some(under_way) = inner.under_way.get(&fingerprint) {
            return Claim::Wait(under_way.subscribe());
        }
        inner.under_way.insert(fingerprint, watch::Sender::new(()));
        Claim::Ours(Ours { seen: self.clone(), fingerprint })
    }

    fn lock(&self) -> MutexGuard<'_, SeenState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ours {
    /// The events are in the spool. Blocks for a write to the page cache.
    pub(super) fn taken(self, unix_now: u64) {
        self.seen.lock().remember(self.fingerprint, unix_now);
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.seen.lock().under_way.remove(&self.fingerprint);
    }
}

impl SeenState {
    /// True where every line is whole.
    fn load(&mut self, unix_now: u64) -> io::Result<bool> {
        let mut lines = ChecksummedLines::new(BufReader::new(durable::read_file(&self.path)?));
        let mut whole = true;
        while let Some(line) = lines.next_line()? {
            let entry = match line {
                ChecksummedLine::Whole { json, .. } => serde_json::from_slice::<SeenRequest>(json).ok(),
                ChecksummedLine::Bad { .. } | ChecksummedLine::Torn { .. } => None,
            };
            match entry.and_then(|entry| Some((u128::from_str_radix(&entry.id, 16).ok()?, entry.at))) {
                // A clock that was set back must not keep it for longer than its day.
                Some((id, at)) => self.insert(Fingerprint(id), at.min(unix_now)),
                None => whole = false,
            }
            self.lines += 1;
        }
        Ok(whole)
    }

    fn insert(&mut self, fingerprint: Fingerprint, at: u64) {
        if self.known.insert(fingerprint, at).is_none() {
            self.order.push_back((fingerprint, at));
        }
        while self.order.len() > MOST {
            self.forget_oldest();
        }
    }

    fn forget(&mut self, unix_now: u64) {
        while self.order.front().is_some_and(|(_, at)| unix_now.saturating_sub(*at) > KEEP.as_secs()) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((oldest, _)) = self.order.pop_front() {
            self.known.remove(&oldest);
        }
    }

    fn remember(&mut self, fingerprint: Fingerprint, at: u64) {
        self.insert(fingerprint, at);
        let written = match &mut self.file {
            Some(file) if self.lines < 2 * MOST => {
                encode([&(fingerprint, at)]).and_then(|line| file.write_all(&line))
            }
            _ => self.rewrite(),
        };
        match written {
            Ok(()) => {
                self.lines += 1;
                self.failing = false;
            }
            Err(error) => {
                // It may hold half a line now.
                self.file = None;
                if !std::mem::replace(&mut self.failing, true) {
                    warn!(source = self.source, path = %self.path.display(), %error,
                        "which requests were taken cannot be written: after a restart those that are sent again are stored again");
                }
            }
        }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        self.file = None;
        durable::replace(&self.path, &encode(&self.order)?)?;
        self.file = Some(durable::append_file(&self.path)?);
        self.lines = self.order.len();
        Ok(())
    }
}

fn encode<'a>(entries: impl IntoIterator<Item = &'a (Fingerprint, u64)>) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for (fingerprint, at) in entries {
        lines::encode(&mut out, &SeenRequest { id: format!("{:032x}", fingerprint.0), at: *at })?;
    }
    Ok(out)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn print(n: u64) -> Fingerprint {
        Fingerprint::of(&n.to_be_bytes(), b"")
    }

    fn take(seen: &Seen, n: u64, at: u64) -> bool {
        match seen.claim(print(n), at) {
            Claim::Ours(ours) => {
                ours.taken(at);
                true
            }
            Claim::Taken => false,
            Claim::Wait(_) => panic!("nobody else stores it"),
        }
    }

    #[test]
    fn an_id_and_a_body_are_known_together() {
        assert_eq!(Fingerprint::of(b"a", b"x"), Fingerprint::of(b"a", b"x"));
        assert_ne!(Fingerprint::of(b"a", b"x"), Fingerprint::of(b"a", b"y"));
        assert_ne!(Fingerprint::of(b"ab", b"c"), Fingerprint::of(b"a", b"bc"), "where the id ends counts");
    }

    #[test]
    fn what_was_taken_is_known_after_a_restart_for_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        let seen = Seen::open("app", &path, NOW);
        assert!(take(&seen, 1, NOW) && !take(&seen, 1, NOW) && take(&seen, 2, NOW + 100));
        let seen = Seen::open("app", &path, NOW + 200);
        assert!(!take(&seen, 1, NOW + 200));
        let day = KEEP.as_secs();
        assert!(!take(&seen, 1, NOW + day) && take(&seen, 1, NOW + day + 1));
        assert!(!take(&seen, 2, NOW + day + 1));
    }

    #[test]
    fn a_torn_or_damaged_line_costs_itself_and_the_next_is_not_written_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        let seen = Seen::open("app", &path, NOW);
        assert!(take(&seen, 1, NOW) && take(&seen, 2, NOW));
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let seen = Seen::open("app", &path, NOW);
        assert!(!take(&seen, 1, NOW) && take(&seen, 2, NOW) && take(&seen, 3, NOW));
        let seen = Seen::open("app", &path, NOW);
        assert!(!take(&seen, 1, NOW) && !take(&seen, 2, NOW) && !take(&seen, 3, NOW));
    }

    #[test]
    fn the_file_and_the_memory_stay_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        let seen = Seen::open("app", &path, NOW);
        let most = MOST as u64;
        for n in 0..2 * most + 10 {
            assert!(take(&seen, n, NOW));
        }
        let lines = memchr::memchr_iter(b'\n', &std::fs::read(&path).unwrap()).count();
        assert!(lines <= MOST + 10, "{lines}");
        let seen = Seen::open("app", &path, NOW);
        assert_eq!(seen.lock().known.len(), MOST);
        assert!(!take(&seen, 2 * most + 9, NOW) && !take(&seen, most + 10, NOW) && take(&seen, 3, NOW));
    }

    #[test]
    fn a_second_of_the_same_waits_and_stores_itself_where_the_first_failed() {
        let dir = tempfile::tempdir().unwrap();
        let seen = Seen::open("app", &dir.path().join("seen"), NOW);
        let Claim::Ours(first) = seen.claim(print(1), NOW) else { panic!("it is new") };
        let Claim::Wait(wait) = seen.claim(print(1), NOW) else { panic!("it is under way") };
        assert!(wait.has_changed().is_ok());
        drop(first);
        assert!(wait.has_changed().is_err(), "it is told");
        assert!(take(&seen, 1, NOW));
    }

    #[test]
    fn a_file_that_cannot_be_written_takes_no_event_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seen");
        std::fs::create_dir(&path).unwrap();
        let seen = Seen::open("app", &path, NOW);
        assert!(take(&seen, 1, NOW) && !take(&seen, 1, NOW));
        std::fs::remove_dir(&path).unwrap();
        assert!(take(&seen, 2, NOW));
        let seen = Seen::open("app", &path, NOW);
        assert!(!take(&seen, 1, NOW) && !take(&seen, 2, NOW), "all that is known is written once it can be");
    }
}
