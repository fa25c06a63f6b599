//! One random history: operations one after the other, some of them between the steps of others.

use std::collections::{BTreeSet, VecDeque};

use super::{
    super::Bench, disk::ModelDisk, ledger::ToldLosses, naming::NamingScheme, operation::TailOperation,
    plan::HistoryPlan, scripts::StepScript, steps::DiskStep,
};
use crate::config::StartAt;

use TailOperation as O;

/// A bench, its model, and what is still to be done of the present operation.
pub(super) struct RandomHistory {
    plan: HistoryPlan,
    bench: Bench,
    disk: ModelDisk,
    rng: fastrand::Rng,
    queue: VecDeque<DiskStep>,
    /// Nothing comes between the steps that are queued.
    at_once: bool,
    round: u32,
    /// Operations whose precondition held.
    happened: BTreeSet<String>,
    steps: Vec<String>,
}

impl RandomHistory {
    /// Runs it to its end. The error says what is wrong, and how it came to that; else which operations of some steps it
    /// had.
    pub(super) fn run(plan: HistoryPlan, turns: usize) -> Result<BTreeSet<String>, String> {
        let mut history = Self::new(plan);
        for _ in 0..turns {
            history.turn();
        }
        history.settle();
        let bench = &history.bench;
        let (gap_bytes, unknown_gaps) = (bench.gap_bytes, bench.unknown_gaps);
        let told = ToldLosses { gap_bytes, truncations: bench.truncations(), unknown_gaps };
        let judged = history.disk.ledger.judge(told, history.plan.is_ordered());
        match judged {
            Ok(()) => Ok(history.happened),
            Err(faults) => {
                let (plan, steps) = (&history.plan, history.steps.join("\n"));
                Err(format!("{faults}{told:?}, {}\n{plan:?}\n{steps}", history.disk.ledger.summary()))
            }
        }
    }

    /// The file is met once before it is first rotated: what nobody opened is not promised.
    fn new(plan: HistoryPlan) -> Self {
        let mut bench = Bench::including(StartAt::Beginning, plan.include());
        if plan.seals {
            bench.seal_at_once();
        }
        if plan.absorbs {
            bench.source.hold_deleted = std::time::Duration::ZERO;
        }
        let disk = ModelDisk::new(bench.path(""), plan.scheme != NamingScheme::NumberUpward);
        let rng = fastrand::Rng::with_seed(plan.seed);
        let mut history = Self {
            plan,
            bench,
            disk,
            rng,
            queue: VecDeque::new(),
            at_once: false,
            round: 0,
            happened: BTreeSet::new(),
            steps: Vec::new(),
        };
        let active = history.plan.active();
        history.disk.create(&active);
        history.bench.start();
        history.scan();
        history
    }

    fn turn(&mut self) {
        if self.queue.is_empty() {
            let operation = self.draw_operation();
            return self.begin(operation);
        }
        let amid: Vec<TailOperation> = O::AMID.iter().filter(|amid| self.plan.has(**amid)).copied().collect();
        if self.at_once || amid.is_empty() || self.rng.bool() {
            return self.go_on();
        }
        match amid[self.rng.usize(..amid.len())] {
            O::ScanAmid if self.rng.bool() => self.read(),
            O::ScanAmid => self.did_scan(),
            O::StopAmid => {
                let kill = self.rng.bool();
                self.restart(kill);
            }
            _ if self.disk.bars_writing() || matches!(self.queue.front(), Some(DiskStep::Truncate(_))) => {}
            _ => {
                let step = DiskStep::Append(self.plan.active(), self.rng.u32(1..3));
                self.disk.finish_line();
                self.do_step(step);
            }
        }
    }

    fn draw_operation(&mut self) -> TailOperation {
        let total: u32 = self.plan.operations.iter().map(|operation| operation.weight()).sum();
        let mut at = self.rng.u32(..total);
        let mut operations = self.plan.operations.iter();
        let drawn = operations.find(|operation| {
            let here = at < operation.weight();
            at = at.saturating_sub(operation.weight());
            here
        });
        *drawn.expect("the weights add up")
    }

    fn begin(&mut self, operation: TailOperation) {
        match operation {
            O::Scan => self.did_scan(),
            O::Read => self.read(),
            O::KillAndStart => self.restart(true),
            O::StopAndStart => self.restart(false),
            O::BeginLine if !self.disk.has_open_line() => {
                self.did("begin a line".to_owned());
                self.disk.begin_line(&self.plan.active());
            }
            _ => {
                self.round += 1;
                let mut script =
                    StepScript { plan: &self.plan, disk: &self.disk, rng: &mut self.rng, round: self.round };
                self.queue = script.of(operation).into();
                self.at_once = operation.is_at_once();
                if !self.queue.is_empty() {
                    self.happened.insert(operation.to_string());
                    self.did(format!("{operation}:"));
                    self.go_on();
                }
                while self.at_once && !self.queue.is_empty() {
                    self.go_on();
                }
            }
        }
    }

    fn go_on(&mut self) {
        if let Some(step) = self.queue.pop_front() {
            self.do_step(step);
        }
    }

    fn do_step(&mut self, step: DiskStep) {
        match step {
            DiskStep::Scan => self.did_scan(),
            DiskStep::Restart(kill) => self.restart(kill),
            DiskStep::FinishLine => {
                if self.disk.finish_line() {
                    self.did("finish the line".to_owned());
                }
            }
            step => {
                self.did(format!("  {step:?}"));
                step.run(&mut self.disk);
            }
        }
    }

    fn did_scan(&mut self) {
        self.did("scan".to_owned());
        self.scan();
    }

    fn scan(&mut self) {
        self.bench.scan();
        self.disk.was_scanned();
    }

    fn read(&mut self) {
        let most = self.rng.usize(1..6);
        let lines = self.bench.read_at_most(most);
        self.did(format!("read at most {most}: {lines:?}"));
        self.disk.ledger.take(&lines);
    }

    fn restart(&mut self, kill: bool) {
        if kill {
            self.did("kill and start".to_owned());
            self.bench.kill();
        } else {
            self.did("stop and start".to_owned());
            if !self.disk.nameless.is_empty() {
                self.scan(); // As the source does it before it ends.
                self.scan();
            }
            self.bench.stop();
        }
        self.disk.was_ended(kill);
        self.bench.start();
    }

    /// The operation comes to its end, and all is read that can be.
    fn settle(&mut self) {
        while !self.queue.is_empty() {
            self.go_on();
        }
        self.disk.finish_line();
        if self.rng.bool() {
            self.disk.cut_reserve(&self.plan.active());
        }
        for _ in 0..3 {
            let lines = self.bench.scan_and_read();
            self.disk.ledger.take(&lines);
        }
    }

    fn did(&mut self, what: String) {
        tracing::info!("{what}");
        self.steps.push(what);
    }
}
