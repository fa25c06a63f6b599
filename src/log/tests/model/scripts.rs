//! Which steps an operation is made of, where it is possible now.

use std::ffi::{OsStr, OsString};

use super::{
    disk::{EMPTY_REPLACEMENT, ModelDisk, REPLACEMENT},
    ledger::text,
    naming::{NamingScheme, odd_name, with_suffix},
    operation::TailOperation,
    packer::{FilePacker, PackedTime},
    plan::HistoryPlan,
    steps::DiskStep,
};
use crate::log::Anchor;

use DiskStep as S;
use TailOperation as O;

/// Draws the steps of operations, with what the disk looks like.
pub(super) struct StepScript<'a> {
    pub(super) plan: &'a HistoryPlan,
    pub(super) disk: &'a ModelDisk,
    pub(super) rng: &'a mut fastrand::Rng,
    /// How many scripts there were: names that must be new.
    pub(super) round: u32,
}

impl StepScript<'_> {
    /// Empty where the operation's precondition does not hold.
    pub(super) fn of(&mut self, operation: TailOperation) -> Vec<DiskStep> {
        let active = self.plan.active();
        let there = self.disk.has(&active);
        let some = self.rng.u32(1..4);
        match operation {
            O::Append => vec![S::FinishLine, S::Append(active, self.rng.u32(1..5))],
            O::RotateByRename
            | O::TimeBeforeExtension
            | O::NumberBeforeExtension
            | O::NumberUpward
            | O::TimeBeforeName
            | O::CurrentToAt
            | O::OldDirectory
            | O::RotateInGlob => self.rotation(self.plan.scheme.rotated(self.round)),
            O::OddGeneration if self.looked() => self.rotation(odd_name("a.log.", self.round)),
            O::Copytruncate if self.looked() => self.copytruncate(),
            O::WriteBeforeCut | O::StopBeforeCut | O::WriteBeforeSmallCut
                if self.looked() && self.disk.is_small(&active) == (operation == O::WriteBeforeSmallCut) =>
            {
                let mut steps = self.copytruncate();
                let stop = (operation == O::StopBeforeCut).then_some(S::Restart(false));
                let write = [S::Append(active, some), S::Scan].into_iter().chain(stop);
                steps.splice(4..4, write);
                steps.push(S::Scan);
                steps
            }
            O::CopytruncateUnlooked if there && !self.looked() => self.copytruncate(),
            O::CompressToGzip | O::CompressInGlob => self.compress(FilePacker::Gzip, PackedTime::Kept),
            O::CompressToZstd => self.compress(FilePacker::Zstd, PackedTime::Kept),
            O::CompressToXz => self.compress(FilePacker::Xz, PackedTime::Kept),
            O::CompressToBzip2 => self.compress(FilePacker::Bzip2, PackedTime::Kept),
            O::CompressToLz4 => self.compress(FilePacker::Lz4, PackedTime::Kept),
            O::CompressAtOtherTime => {
                let packer = FilePacker::ALL[self.rng.usize(..FilePacker::ALL.len())];
                let time = if self.rng.bool() { PackedTime::Fresh } else { PackedTime::Past };
                self.compress(packer, time)
            }
            O::DeleteAfterLooks => self.delete_after_looks(),
            O::DeleteHeld => self.delete(&[S::Scan], false),
            O::DeleteUnheld => {
                let kill = self.rng.bool();
                self.delete(&[S::Restart(kill)], true)
            }

            O::OddMatch => vec![S::Append(odd_name("a.log-", 0), some)],
            O::OddNeighbour => vec![S::WriteForeign(odd_name("odd", self.round % 3))],
            O::SecretBeside => vec![S::WriteForeign("a.log.secret".into())],
            O::NeighbourBeside => {
                let name: OsString = "a.log.json".into();
                vec![S::WriteForeign(name.clone()), S::WriteForeign(name)]
            }
            O::NeighbourInGlob => vec![S::Append("a.log.json".into(), some)],
            O::MeetWithSiblings => self.meet_with_siblings(),

            O::Preallocate if there && self.disk.file(&active).is_some_and(|file| file.reserved.is_some()) => {
                vec![S::FinishLine, S::CutReserve(active)]
            }
            O::Preallocate | O::WriteMapped => {
                vec![S::FinishLine, S::Reserve(active.clone(), 700), S::Append(active, some)]
            }
            O::CutTornTail => {
                vec![S::FinishLine, S::Tear(active.clone(), self.rng.bool()), S::CutTorn, S::Append(active, some)]
            }

            O::ReplaceByOwn if there => {
                let mut steps = self.replace(usize::MAX, some - 1);
                // Of a file with few bytes only the next one is known to have taken its place.
                steps.extend(self.disk.is_small(&active).then_some(S::Scan));
                steps
            }
            O::KeepNewerHalf if there => self.keep_newer_half(some),
            O::RenameOver if there => {
                let new: OsString = EMPTY_REPLACEMENT.into();
                vec![S::FinishLine, S::Create(new.clone()), S::Rename(new, active)]
            }
            O::CopyBeside if there => vec![S::CopyBeside(active.clone(), with_suffix(&active, ".bak"))],
            O::CopySnapshot if there => {
                // A copy with few bytes is delivered: many files begin alike.
                let more = if self.disk.is_small(&active) { 40 } else { 0 };
                vec![
                    S::FinishLine,
                    S::Append(active.clone(), more),
                    self.shift(1),
                    S::Tick,
                    S::Copy(active, "a.log.1".into()),
                ]
            }
            O::Renamecopy if there => self.renamecopy(),

            O::LateOnRenamed => match self.late_writer(true) {
                Some(writer) => vec![S::AppendLate(writer, some)],
                None if self.disk.file(&active).is_some_and(|file| file.known) => {
                    let mut steps = self.rotation(self.plan.scheme.rotated(self.round));
                    steps.insert(1, S::KeepWriter(active));
                    steps
                }
                None => Vec::new(),
            },
            O::LateOnEmpty => self.open_in_vain(),
            O::LateOnNameless | O::LateAfterSeal => match self.late_writer(false) {
                Some(writer) => vec![S::AppendLate(writer, some)],
                None => self.lose_under_a_writer(),
            },
            O::LateOnReplaced => match self.late_writer(false) {
                Some(writer) => vec![S::AppendLate(writer, some)],
                None if there => {
                    let mut steps = self.replace(usize::MAX, some - 1);
                    steps.splice(1..1, [S::KeepWriter(active), S::Scan]);
                    steps.push(S::Scan);
                    steps
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn looked(&self) -> bool {
        self.disk.file(&self.plan.active()).is_some_and(|file| file.looked)
    }

    /// Generations move up; none is deleted.
    fn shift(&self, by: u32) -> DiskStep {
        let mut renames = Vec::new();
        for n in (1..200).rev() {
            let Some((from, to)) = self.plan.scheme.shifted(n).zip(self.plan.scheme.shifted(n + by)) else { break };
            for suffix in FilePacker::ALL.map(FilePacker::suffix).into_iter().chain([""]) {
                let name = OsString::from(format!("{from}{suffix}"));
                if self.disk.has(&name) {
                    renames.push((name, OsString::from(format!("{to}{suffix}"))));
                }
            }
        }
        S::Shift(renames)
    }

    fn rotation(&mut self, to: OsString) -> Vec<DiskStep> {
        let active = self.plan.active();
        let mut steps = vec![S::FinishLine, self.shift(1)];
        steps.push(S::Rename(active.clone(), to));
        if self.rng.bool() {
            steps.push(S::Create(active));
        }
        steps
    }

    fn copytruncate(&mut self) -> Vec<DiskStep> {
        let active = self.plan.active();
        let copy = S::Copy(active.clone(), "a.log.1".into());
        vec![S::FinishLine, self.shift(1), S::Tick, copy, S::Truncate(active), S::Tick]
    }

    fn renamecopy(&mut self) -> Vec<DiskStep> {
        let (active, between): (_, OsString) = (self.plan.active(), "a.log.tmp".into());
        vec![
            S::FinishLine,
            self.shift(1),
            S::Rename(active.clone(), between.clone()),
            S::Create(active),
            S::Copy(between.clone(), "a.log.1".into()),
            S::Remove(between),
        ]
    }

    /// Of generations in another directory not an empty one: where that is all that is known of a lineage, the directory
    /// is not known when it is gone.
    fn compress(&mut self, packer: FilePacker, time: PackedTime) -> Vec<DiskStep> {
        let mut plain = self.disk.plain_generations(&self.plan.active());
        if self.plan.scheme == NamingScheme::OldDirectory {
            plain.retain(|name| self.disk.file(name).is_some_and(|file| !file.lines.is_empty()));
        }
        if plain.is_empty() {
            return Vec::new();
        }
        let name = plain[self.rng.usize(..plain.len())].clone();
        let to = with_suffix(&name, packer.suffix());
        if self.disk.has(&to) {
            return Vec::new();
        }
        let begin = S::BeginPack(name.clone(), to.clone(), packer);
        vec![begin, S::Pack(name.clone(), to, packer, time), S::Remove(name)]
    }

    fn replace(&mut self, keep: usize, more: u32) -> Vec<DiskStep> {
        let active = self.plan.active();
        vec![S::FinishLine, S::WriteReplacement(active.clone(), keep, more), S::Rename(REPLACEMENT.into(), active)]
    }

    /// What was seen last is in the newer half, with enough before it to know it by. Of a half that is held and killed,
    /// what a second half has may be too little for that, and is a gap: there is one at a time.
    fn keep_newer_half(&mut self, more: u32) -> Vec<DiskStep> {
        if !self.disk.nameless.is_empty() {
            return Vec::new();
        }
        let lines = self.disk.file(&self.plan.active()).map_or(&[][..], |file| &file.lines);
        let keep = lines.len() - lines.len() / 2;
        let kept = &lines[lines.len() - keep..];
        if kept.iter().map(|number| text(*number).len() + 1).sum::<usize>() < Anchor::BYTES {
            return Vec::new();
        }
        let mut steps = self.replace(keep, more);
        let look = if self.rng.bool() { vec![S::Scan, S::Restart(false)] } else { vec![S::Scan] };
        steps.splice(1..1, look);
        steps.push(S::Scan);
        steps
    }

    /// The active file, or one of its newest plain generations.
    fn victim(&mut self) -> Option<OsString> {
        let active = self.plan.active();
        let plain = self.disk.plain_generations(&active);
        let name = if plain.is_empty() || self.rng.bool() {
            active
        } else {
            plain[self.rng.usize(..plain.len().min(2))].clone()
        };
        self.disk.has(&name).then_some(name)
    }

    /// A path is given up, and what was rotated from it meanwhile opened, after two looks in vain.
    fn delete_after_looks(&mut self) -> Vec<DiskStep> {
        let Some(name) = self.victim() else { return Vec::new() };
        let mut steps = vec![S::FinishLine, S::Scan, S::Scan, S::Scan, S::Remove(name.clone())];
        steps.extend([S::Scan, S::Scan, S::Scan, S::Scan]);
        if name == self.plan.active() {
            // Where no file of a lineage is known, its next one is met before it is rotated.
            steps.extend([S::Create(name), S::Scan]);
        }
        steps
    }

    fn delete(&mut self, before: &[DiskStep], write: bool) -> Vec<DiskStep> {
        let Some(name) = self.victim() else { return Vec::new() };
        let active = self.plan.active();
        let mut steps = vec![S::FinishLine];
        steps.extend_from_slice(before);
        if write && name == active && self.rng.bool() {
            steps.push(S::Append(active.clone(), self.rng.u32(1..4)));
        }
        steps.push(S::Remove(name.clone()));
        if name == active {
            steps.extend([S::Create(name), S::Scan]);
        }
        steps
    }

    fn meet_with_siblings(&mut self) -> Vec<DiskStep> {
        let path: OsString = format!("path{}.log", self.round).into();
        let generation = with_suffix(&path, ".1");
        let mut steps =
            vec![S::Append(path.clone(), self.rng.u32(1..4)), S::Rename(path.clone(), generation.clone())];
        if self.rng.bool() {
            let packer = FilePacker::ALL[self.rng.usize(..FilePacker::ALL.len())];
            let to = with_suffix(&generation, packer.suffix());
            steps.push(S::Pack(generation.clone(), to, packer, PackedTime::Kept));
            steps.push(S::Remove(generation));
        }
        steps.push(S::Append(path, self.rng.u32(1..4)));
        steps
    }

    /// A writer that went on, of a file that has a name or of one that has none.
    fn late_writer(&mut self, named: bool) -> Option<usize> {
        let writers = self.disk.late.iter().enumerate();
        let fitting: Vec<usize> =
            writers.filter(|(_, late)| self.disk.is_named(late.index) == named).map(|(which, _)| which).collect();
        let active = self.disk.names.get(OsStr::new(&self.plan.active()));
        let rotated = fitting.into_iter().filter(|which| active != Some(&self.disk.late[*which].index));
        let rotated: Vec<usize> = rotated.collect();
        (!rotated.is_empty() && self.rng.u32(0..3) > 0).then(|| rotated[self.rng.usize(..rotated.len())])
    }

    /// The file is rotated, opened, and rotated again before anything is written to it.
    fn open_in_vain(&self) -> Vec<DiskStep> {
        let (active, generation) = (self.plan.active(), |n: u32| OsString::from(format!("a.log.{n}")));
        let mut steps = vec![S::FinishLine, self.shift(2), S::Rename(active.clone(), generation(2))];
        steps.extend([S::Create(active.clone()), S::KeepWriter(active.clone())]);
        steps.extend([S::Rename(active.clone(), generation(1)), S::Create(active), S::Scan]);
        steps.push(S::AppendLate(self.disk.late.len(), 2));
        steps
    }

    /// The active file is deleted, or moved away, and its writer goes on.
    fn lose_under_a_writer(&mut self) -> Vec<DiskStep> {
        let active = self.plan.active();
        if !self.disk.has(&active) {
            return Vec::new();
        }
        let lose = if self.rng.bool() { S::Remove(active.clone()) } else { S::MoveAway(active.clone()) };
        vec![S::FinishLine, S::KeepWriter(active.clone()), S::Scan, lose, S::Create(active), S::Scan]
    }
}
