//! The lines that were written, what is promised of each, and the judgement at the end.

use std::{collections::BTreeMap, fmt::Write};

/// What must become of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFate {
    /// Delivered once: it is in a file of the lineage, or was held when that lost its name.
    Promised,
    /// Delivered once, or it is in a loss that was told.
    Told,
    /// Delivered once, or not at all: its file was gone before anybody looked, or it was never finished.
    Unpromised,
}

#[derive(Debug)]
struct LineRecord {
    fate: LineFate,
    /// Which followed file and its generations it was written to.
    family: u32,
    /// Which life of that file.
    life: usize,
    /// A scan looked at its file since, and the process that did was not killed before the line was delivered.
    seen: bool,
    times: u32,
}

/// Every line by its number, and what was delivered, in order.
#[derive(Debug, Default)]
pub(super) struct LineLedger {
    lines: Vec<LineRecord>,
    delivered: Vec<u32>,
    /// What was delivered and is no line that was to be read.
    strangers: Vec<String>,
    /// Bytes of lines that were begun and never finished.
    torn_bytes: u64,
    /// Files that vanished and were not held: each may be told as a loss of unknown size.
    vanished: u64,
}

/// What the bench heard of losses.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToldLosses {
    pub(super) gap_bytes: u64,
    /// Files that lost their bytes, each of which raises an alarm.
    pub(super) truncations: u64,
    /// Gaps of which nobody knows how large they are.
    pub(super) unknown_gaps: u64,
}

impl ToldLosses {
    /// Whether something was told that may be larger than its bytes.
    fn is_open(self) -> bool {
        self.truncations > 0 || self.unknown_gaps > 0
    }
}

/// The line of a number, padded so that lines differ in length; without its line end.
pub(super) fn text(number: u32) -> String {
    format!("{number:06}{}", "x".repeat((number as usize + 1) % 90))
}

impl LineLedger {
    /// The next line's number. Until it is written to its end nothing is promised.
    pub(super) fn next(&mut self, family: u32, life: usize) -> u32 {
        let record = LineRecord { fate: LineFate::Unpromised, family, life, seen: false, times: 0 };
        self.lines.push(record);
        self.lines.len() as u32 - 1
    }

    pub(super) fn set_fate(&mut self, number: u32, fate: LineFate) {
        self.lines[number as usize].fate = fate;
    }

    pub(super) fn is_delivered(&self, number: u32) -> bool {
        self.lines[number as usize].times > 0
    }

    pub(super) fn saw(&mut self, number: u32) {
        self.lines[number as usize].seen = true;
    }

    pub(super) fn tore(&mut self, bytes: usize) {
        self.torn_bytes += bytes as u64;
    }

    pub(super) fn vanished(&mut self) {
        self.vanished += 1;
    }

    /// What a killed process knew of a line's file beyond its catalog, nobody knows now.
    pub(super) fn forget_sight(&mut self) {
        self.lines.iter_mut().filter(|line| line.times == 0).for_each(|line| line.seen = false);
    }

    pub(super) fn take(&mut self, lines: &[String]) {
        for line in lines {
            let number = line.get(..6).and_then(|digits| digits.parse::<u32>().ok());
            match number.filter(|number| (*number as usize) < self.lines.len() && *line == text(*number)) {
                Some(number) => {
                    self.lines[number as usize].times += 1;
                    self.delivered.push(number);
                }
                None => self.strangers.push(line.clone()),
            }
        }
    }

    /// Whether all was kept: each line once, in the order in which its file has it, and in that of its generations
    /// where `ordered`; no loss in silence, and none told that is none.
    pub(super) fn judge(&self, told: ToldLosses, ordered: bool) -> Result<(), String> {
        let mut faults = String::new();
        let mut fault = |what: &str, lines: &dyn std::fmt::Debug| {
            let _ = writeln!(faults, "{what}: {lines:?}");
        };
        let numbered = || self.lines.iter().enumerate();
        let which = |holds: &dyn Fn(&LineRecord) -> bool| -> Vec<usize> {
            numbered().filter(|(_, line)| holds(line)).map(|(number, _)| number).collect()
        };
        let missing = which(&|line| line.fate == LineFate::Promised && line.times == 0);
        if !missing.is_empty() {
            fault("promised and not delivered", &missing);
        }
        let doubled = which(&|line| line.times > 1);
        if !doubled.is_empty() {
            fault("delivered more than once", &doubled);
        }
        if !self.strangers.is_empty() {
            fault("never to be delivered", &self.strangers);
        }
        let misplaced = self.misplaced(|line| if ordered { line.family as usize } else { line.life });
        if !misplaced.is_empty() && doubled.is_empty() {
            fault("out of order", &misplaced);
        }
        let bytes =
            |numbers: &[usize]| numbers.iter().map(|number| text(*number as u32).len() as u64 + 1).sum::<u64>();
        let lost = which(&|line| line.fate == LineFate::Told && line.times == 0);
        let seen = which(&|line| line.fate == LineFate::Told && line.times == 0 && line.seen);
        if !lost.is_empty() && told.gap_bytes == 0 && !told.is_open() {
            fault("lost in silence", &lost);
        } else if told.gap_bytes < bytes(&seen) && told.truncations == 0 {
            fault("seen, lost, and in no gap that is large enough", &seen);
        }
        let unpromised = which(&|line| line.fate == LineFate::Unpromised && line.times == 0);
        // A copy of which only the beginning is known may be read as a file of its own: then the whole life is told as
        // lost, where a line of it is. Where nothing is lost, nothing is told.
        if lost.is_empty() && told.gap_bytes > bytes(&unpromised) + self.torn_bytes {
            fault("more was told to be lost than was", &told.gap_bytes);
        }
        if told.unknown_gaps > self.vanished {
            fault("more files were told to have vanished than did", &told.unknown_gaps);
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }

    /// Lines that came after a later one of the same family, or life.
    fn misplaced(&self, of: impl Fn(&LineRecord) -> usize) -> Vec<u32> {
        let mut newest: BTreeMap<usize, u32> = BTreeMap::new();
        let late = self.delivered.iter().filter(|number| {
            let newest = newest.entry(of(&self.lines[**number as usize])).or_default();
            let late = **number < *newest;
            *newest = (*newest).max(**number);
            late
        });
        late.copied().collect()
    }

    pub(super) fn summary(&self) -> String {
        format!("{} lines written, delivered {:?}", self.lines.len(), self.delivered)
    }
}

#[test]
fn the_judgement_finds_each_kind_of_fault() {
    let none = ToldLosses { gap_bytes: 0, truncations: 0, unknown_gaps: 0 };
    let written = |fates: &[LineFate], delivered: &[u32]| {
        let mut ledger = LineLedger::default();
        for fate in fates {
            let number = ledger.next(0, 0);
            ledger.set_fate(number, *fate);
        }
        ledger.take(&delivered.iter().map(|number| text(*number)).collect::<Vec<_>>());
        ledger
    };
    let says = |ledger: &LineLedger, told, what: &str| {
        let fault = ledger.judge(told, true).unwrap_err();
        assert!(fault.contains(what), "{fault}");
    };
    let two = [LineFate::Promised, LineFate::Promised];
    assert_eq!(written(&two, &[0, 1]).judge(none, true), Ok(()));
    says(&written(&two, &[0]), none, "promised and not delivered: [1]");
    says(&written(&two, &[0, 1, 1]), none, "delivered more than once: [1]");
    says(&written(&two, &[1, 0]), none, "out of order: [0]");
    let mut strange = written(&two, &[0, 1]);
    strange.take(&["secret".to_owned()]);
    says(&strange, none, "never to be delivered");
    let mut lost = written(&[LineFate::Told], &[]);
    says(&lost, none, "lost in silence: [0]");
    lost.saw(0);
    let gap = |gap_bytes| ToldLosses { gap_bytes, ..none };
    says(&lost, gap(3), "in no gap that is large enough");
    assert_eq!(lost.judge(gap(8), true), Ok(()));
    let open = ToldLosses { unknown_gaps: 1, ..gap(8) };
    says(&lost, open, "more files were told to have vanished");
    lost.vanished();
    assert_eq!(lost.judge(open, true), Ok(()));
    says(&lost, ToldLosses { gap_bytes: 3, ..open }, "in no gap that is large enough");
    says(&written(&two, &[0, 1]), gap(1), "more was told");
    assert_eq!(written(&[LineFate::Unpromised], &[]).judge(none, true), Ok(()));
}
