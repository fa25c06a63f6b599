//! What one history is made of, drawn from its seed.

use std::ffi::{OsStr, OsString};

use super::{naming::NamingScheme, operation::TailOperation};

use TailOperation as O;

/// The configuration and the operations of one history.
#[derive(Debug)]
pub(super) struct HistoryPlan {
    pub(super) seed: u64,
    /// The include has the rotated generations, too.
    pub(super) glob: bool,
    pub(super) scheme: NamingScheme,
    /// What is quiet is sealed at the next scan.
    pub(super) seals: bool,
    /// What is deleted is taken in at once.
    pub(super) absorbs: bool,
    pub(super) operations: Vec<TailOperation>,
}

impl HistoryPlan {
    /// Some of the allowed operations: the base, perhaps copytruncate or deletions, and up to two more.
    pub(super) fn draw(seed: u64, allowed: &[TailOperation]) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x706C_616E);
        let mut glob = seed.is_multiple_of(2);
        let copytruncate = seed % 4 < 2 && allowed.contains(&O::Copytruncate);
        let mut extras: Vec<TailOperation> = Vec::new();
        let candidates: Vec<TailOperation> =
            O::EXTRA.iter().filter(|extra| allowed.contains(extra)).copied().collect();
        for _ in 0..rng.usize(0..3).min(candidates.len()) {
            let extra = candidates[rng.usize(..candidates.len())];
            let fits = extra.wants_glob().is_none_or(|wanted| wanted == glob)
                && (if copytruncate { extra.goes_with_copytruncate() } else { !extra.cuts() })
                && extras.iter().all(|other| !excludes(*other, extra));
            if fits {
                extras.push(extra);
            }
        }
        // Copies in the making would be files of their own where all is sealed at once.
        let deletes = allowed.contains(&O::DeleteAfterLooks) && !copytruncate && !seed.is_multiple_of(3);
        if deletes {
            extras.retain(|extra| !excludes(O::DeleteAfterLooks, *extra));
        }
        let amid = O::AMID.iter().filter(|amid| allowed.contains(amid) && rng.bool());
        let mut operations: Vec<TailOperation> = extras.iter().copied().chain(amid.copied()).collect();
        operations.extend(copytruncate.then_some(O::Copytruncate));
        operations.extend(deletes.then_some(O::DeleteAfterLooks));
        let gzip = allowed.contains(&O::CompressToGzip)
            && !extras.iter().any(|extra| [O::RotateInGlob, O::CompressInGlob].contains(extra));
        operations.extend(gzip.then_some(O::CompressToGzip));
        glob &= !operations.iter().any(|operation| operation.wants_glob() == Some(false));
        Self::of(seed, glob, operations)
    }

    /// The base and this one, with what it needs to show itself.
    pub(super) fn only(seed: u64, operation: TailOperation) -> Self {
        let glob = operation.wants_glob().unwrap_or(seed.is_multiple_of(2));
        let mut operations = vec![operation];
        if O::AMID.contains(&operation) {
            operations.push(O::CompressToGzip);
            operations.extend((seed % 4 < 2).then_some(O::Copytruncate));
        } else {
            let others = [O::ScanAmid, O::StopAmid].into_iter().enumerate();
            operations.extend(others.filter(|(bit, _)| seed >> (2 + bit) & 1 == 1).map(|(_, amid)| amid));
        }
        Self::of(seed, glob, operations)
    }

    fn of(seed: u64, glob: bool, mut extras: Vec<TailOperation>) -> Self {
        if extras.contains(&O::CompressInGlob) {
            extras.push(O::RotateInGlob);
        }
        let scheme = match extras.iter().find_map(|extra| scheme_of(*extra)) {
            Some(scheme) => scheme,
            None if extras.contains(&O::RotateInGlob) => NamingScheme::ALL[1 + seed as usize / 2 % 5],
            None => NamingScheme::AfterName,
        };
        let absorbs = extras.contains(&O::DeleteAfterLooks);
        let seals = absorbs || extras.contains(&O::LateAfterSeal);
        let mut operations = O::BASE.to_vec();
        operations.extend(extras);
        Self { seed, glob, scheme, seals, absorbs, operations }
    }

    pub(super) fn has(&self, operation: TailOperation) -> bool {
        self.operations.contains(&operation)
    }

    /// Whether generations come in their order, whatever happens.
    pub(super) fn is_ordered(&self) -> bool {
        // Copies made while nobody looked may be met in another order.
        let unordered = [
            O::Copytruncate,
            O::WriteBeforeCut,
            O::StopBeforeCut,
            O::WriteBeforeSmallCut,
            O::CopytruncateUnlooked,
            O::Renamecopy,
            O::LateOnRenamed,
            O::LateOnEmpty,
            O::LateOnNameless,
            O::LateAfterSeal,
            O::LateOnReplaced,
            O::CompressAtOtherTime,
        ];
        let in_glob = self.glob && self.scheme != NamingScheme::AfterName;
        !in_glob && !unordered.iter().any(|operation| self.has(*operation))
    }

    pub(super) fn active(&self) -> OsString {
        self.scheme.active()
    }

    /// What the source's `include` has.
    pub(super) fn include(&self) -> impl Fn(&OsStr) -> bool + 'static {
        let (scheme, glob, active) = (self.scheme, self.glob, self.active());
        move |name| {
            let text = name.to_string_lossy();
            name == active
                || (glob && scheme.is_in_glob(name))
                || (text.starts_with("path") && text.ends_with(".log"))
        }
    }
}

/// The names that an operation gives.
fn scheme_of(operation: TailOperation) -> Option<NamingScheme> {
    match operation {
        O::TimeBeforeExtension => Some(NamingScheme::TimeBeforeExtension),
        O::NumberBeforeExtension => Some(NamingScheme::NumberBeforeExtension),
        O::NumberUpward => Some(NamingScheme::NumberUpward),
        O::TimeBeforeName => Some(NamingScheme::TimeBeforeName),
        O::CurrentToAt => Some(NamingScheme::CurrentToAt),
        O::OldDirectory => Some(NamingScheme::OldDirectory),
        _ => None,
    }
}

/// Whether two of them would break each other's promise, or speak of other names.
fn excludes(one: TailOperation, other: TailOperation) -> bool {
    let named =
        |operation| scheme_of(operation).is_some() || matches!(operation, O::RotateInGlob | O::CompressInGlob);
    // Names that only make sense beside `a.log` and `a.log.1`.
    let of_names = |operation| {
        matches!(
            operation,
            O::OddGeneration
                | O::OddMatch
                | O::RenameOver
                | O::LateOnEmpty
                | O::CopyBeside
                | O::CopySnapshot
                | O::Renamecopy
                | O::SecretBeside
                | O::NeighbourBeside
                | O::NeighbourInGlob
        )
    };
    // The file is not only appended to.
    let rewrites = |operation| {
        matches!(
            operation,
            O::Preallocate
                | O::WriteMapped
                | O::ReplaceByOwn
                | O::KeepNewerHalf
                | O::LateOnReplaced
                | O::CutTornTail
                | O::CopytruncateUnlooked
        )
    };
    let late = |operation| {
        matches!(
            operation,
            O::LateOnRenamed | O::LateOnEmpty | O::LateOnNameless | O::LateAfterSeal | O::LateOnReplaced
        )
    };
    // What is sealed, or absorbed, at once makes a copy in the making a file of its own, and a torn line a line.
    let copies = |operation| {
        matches!(
            operation,
            O::CopySnapshot
                | O::Renamecopy
                | O::CopytruncateUnlooked
                | O::CopyBeside
                | O::ReplaceByOwn
                | O::KeepNewerHalf
                | O::LateOnReplaced
        )
    };
    let seals = |operation| matches!(operation, O::DeleteAfterLooks | O::LateAfterSeal);
    let loses = |operation| matches!(operation, O::DeleteHeld | O::DeleteUnheld);
    // Such a name is believed of a file whose time says that it came between two generations.
    let by_number = |operation| matches!(operation, O::NumberBeforeExtension | O::NumberUpward);
    let otherwise_timed = |operation| operation == O::CompressAtOtherTime;
    let either = |a: &dyn Fn(O) -> bool, b: &dyn Fn(O) -> bool| (a(one) && b(other)) || (a(other) && b(one));
    one == other
        || either(&named, &named)
        || either(&named, &of_names)
        || either(&by_number, &otherwise_timed)
        || either(&rewrites, &rewrites)
        || either(&rewrites, &late)
        || either(&late, &late)
        || either(&seals, &copies)
        || either(&seals, &loses)
        || either(&seals, &late)
}
