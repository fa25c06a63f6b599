//! Alarms: what a human must look at, from when it was noticed until it is over.
//!
//! Whatever notices a condition raises the alarm of a subject (`forwarder siem`, `source app`) and clears it when it is
//! over; the admin pages show what is raised. Raising is idempotent, and the first time is kept. Alarms that tell of a
//! loss (a recorded gap) are never cleared: they end with the process, and the record on disk stays.

mod subject;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;

pub use subject::AlarmSubject;

/// The raised alarms, shared by all who raise and show them.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<BTreeMap<AlarmKey, Raised>>);

/// Of whom, what, and about which thing.
type AlarmKey = (AlarmSubject, AlarmKind, String);

/// What is wrong; a subject has one alarm of a kind, or one for each thing that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The receiver refuses us; the queue stays.
    Held,
    /// There is a backlog and nothing was settled for a while.
    Stalled,
    /// Bytes can never be read.
    Gap,
    /// A file was rewritten in place or cannot be read.
    File,
    /// The state directory cannot be written, or a file in it is damaged.
    State,
    /// A spool is full: its source takes no events.
    Full,
    /// A changed configuration was not taken over.
    Reload,
    /// A task panicked and was started anew: to be reported. It stays until the process ends.
    Bug,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Raised {
    since: Timestamp,
    text: String,
}

/// One raised alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    pub subject: AlarmSubject,
    pub kind: AlarmKind,
    pub since: Timestamp,
    pub text: String,
}

impl Alarms {
    /// Raises it, or changes its text where it is raised already. The text is shown as it is and must hold no
    /// secret. True where it is new, so that it is logged once.
    pub fn raise(&self, subject: &AlarmSubject, kind: AlarmKind, text: impl Into<String>, now: Timestamp) -> bool {
        self.raise_about(subject, kind, "", text, now)
    }

    /// The same beside those about other things: no loss hides another. There must be few things that it can be about.
    pub fn raise_about(
        &self,
        subject: &AlarmSubject,
        kind: AlarmKind,
        about: &str,
        text: impl Into<String>,
        now: Timestamp,
    ) -> bool {
        let text = text.into();
        let mut raised = self.lock();
        match raised.entry((subject.clone(), kind, about.to_owned())) {
            Entry::Occupied(mut alarm) => {
                alarm.get_mut().text = text;
                false
            }
            Entry::Vacant(place) => {
                place.insert(Raised { since: now, text });
                true
            }
        }
    }

    /// True where it was raised, about whatever.
    pub fn clear(&self, subject: &AlarmSubject, kind: AlarmKind) -> bool {
        let mut raised = self.lock();
        let before = raised.len();
        raised.retain(|(raised_by, of, _), _| raised_by != subject || *of != kind);
        raised.len() < before
    }

    /// Clears all of a forwarder or source that is gone, and of its parts, as when a reload removes it; but not what tells
    /// of a loss.
    pub fn clear_all(&self, whole: &AlarmSubject) {
        self.lock().retain(|(raised_by, of, _), _| !raised_by.is_of(whole) || *of == AlarmKind::Gap);
    }

    /// Clears all of one kind of a forwarder or source, and of its parts.
    pub fn clear_all_of_kind(&self, whole: &AlarmSubject, kind: AlarmKind) {
        self.lock().retain(|(raised_by, of, _), _| !raised_by.is_of(whole) || *of != kind);
    }

    /// What is raised, the oldest first.
    pub fn raised(&self) -> Vec<Alarm> {
        let mut alarms: Vec<Alarm> = self
            .lock()
            .iter()
            .map(|((subject, kind, _), raised)| Alarm {
                subject: subject.clone(),
                kind: *kind,
                since: raised.since,
                text: raised.text.clone(),
            })
            .collect();
        alarms.sort_by_key(|alarm| alarm.since);
        alarms
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AlarmKey, Raised>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AlarmKind {
    /// As on pages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Stalled => "stalled",
            Self::Gap => "gap",
            Self::File => "file",
            Self::State => "state",
            Self::Full => "full",
            Self::Reload => "reload",
            Self::Bug => "bug",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_keeps_its_first_time_and_its_last_text_until_it_is_cleared() {
        let (first, second) = (Timestamp::constant(1, 0), Timestamp::constant(2, 0));
        let siem = AlarmSubject::forwarder("siem");
        let alarms = Alarms::default();
        assert!(alarms.raise(&siem, AlarmKind::Held, "401", first));
        assert!(!alarms.raise(&siem, AlarmKind::Held, "403", second));
        assert!(alarms.raise(&siem, AlarmKind::Stalled, "60 s", second));
        let raised = alarms.raised();
        assert_eq!((raised[0].since, raised[0].text.as_str()), (first, "403"));
        assert_eq!(raised.len(), 2);

        assert!(alarms.clear(&siem, AlarmKind::Held));
        assert!(!alarms.clear(&siem, AlarmKind::Held));
        alarms.clear_all(&AlarmSubject::forwarder("other"));
        assert_eq!(alarms.raised()[0].kind, AlarmKind::Stalled);
        alarms.raise(&siem, AlarmKind::Gap, "17 bytes", second);
        alarms.clear_all(&siem);
        let left: Vec<AlarmKind> = alarms.raised().into_iter().map(|alarm| alarm.kind).collect();
        assert_eq!(left, [AlarmKind::Gap]);
    }

    #[test]
    fn alarms_of_a_kind_about_different_things_stand_beside_each_other() {
        let now = Timestamp::constant(1, 0);
        let app = AlarmSubject::source("app");
        let alarms = Alarms::default();
        assert!(alarms.raise_about(&app, AlarmKind::Gap, "cut", "one", now));
        assert!(alarms.raise_about(&app, AlarmKind::Gap, "dropped", "17", now));
        assert!(!alarms.raise_about(&app, AlarmKind::Gap, "dropped", "18", now));
        let texts: Vec<String> = alarms.raised().into_iter().map(|alarm| alarm.text).collect();
        assert_eq!(texts, ["one", "18"]);
        assert!(alarms.clear(&app, AlarmKind::Gap));
        assert!(alarms.raised().is_empty() && !alarms.clear(&app, AlarmKind::Gap));
    }

    #[test]
    fn what_is_gone_takes_the_alarms_of_its_parts_along_and_no_others() {
        let now = Timestamp::constant(1, 0);
        let alarms = Alarms::default();
        let (siem, app) = (AlarmSubject::forwarder("siem"), AlarmSubject::source("app"));
        let letters = AlarmSubject::dead_letters("siem");
        let all = [&siem, &letters, &AlarmSubject::journal("siem"), &app, &AlarmSubject::listener("app")];
        let others = [AlarmSubject::Configuration, AlarmSubject::forwarder("app"), AlarmSubject::source("siem")];
        for subject in all.into_iter().chain(&others) {
            assert!(alarms.raise(subject, AlarmKind::State, "full", now));
            assert!(alarms.raise(subject, AlarmKind::File, "gone", now));
        }
        let of = |whole: &AlarmSubject| alarms.raised().iter().filter(|alarm| alarm.subject.is_of(whole)).count();
        alarms.clear_all_of_kind(&siem, AlarmKind::State);
        assert!(!alarms.clear(&letters, AlarmKind::State) && alarms.clear(&letters, AlarmKind::File));
        assert_eq!((of(&siem), of(&app)), (2, 4));
        alarms.clear_all(&siem);
        alarms.clear_all(&app);
        let mut left: Vec<AlarmSubject> = alarms.raised().into_iter().map(|alarm| alarm.subject).collect();
        left.dedup();
        assert_eq!(left, others);
    }
}
