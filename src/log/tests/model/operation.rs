//! What can happen to a tailed log, by name.

use std::fmt;

/// One kind of event of a history. Each says what it does, and what is promised then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TailOperation {
    /// Some whole lines, by a writer that opens the file anew. Each is delivered once, in order.
    Append,
    /// The first bytes of a line. It is delivered when its end was written, as one.
    BeginLine,
    /// A look at all paths.
    Scan,
    /// A forwarder reads at most so many lines.
    Read,
    /// As `kill -9` and a start: goes on where each forwarder stood. What only the process held is gone, and told.
    KillAndStart,
    /// An orderly stop and a start: the same, and what only the process held was taken in before.
    StopAndStart,
    /// Generations move up, the file becomes the newest of them, and is made anew sooner or later. All are read, oldest
    /// first, however many rotations there were since the last look.
    RotateByRename,
    /// The file is copied and cut to nothing, and nothing is written between both. What was copied is read. The present life was looked at when a whole line stood in it, so that its copy is known by its content.
    Copytruncate,
    /// A generation becomes a gzip file. It is read on in that, and not before the compressor is done.
    CompressToGzip,
    /// A file is deleted that scans before and after have looked at. It is read to its end, over a kill, too.
    DeleteAfterLooks,

    /// A scan, or a read, comes between the steps of the others.
    ScanAmid,
    /// Lines are written between the steps of the others, but not where a cut would take them.
    WriteAmid,
    /// A kill or a stop, and a start, come between the steps of the others. Nothing more is lost than by the steps.
    StopAmid,

    /// A file that was met is moved to a name that is no UTF-8, which no rotator gives. It is read to its end.
    OddGeneration,
    /// A name that is no UTF-8 matches the glob. It is a file with lines of its own.
    OddMatch,
    /// A name that is no UTF-8 stands beside the file and does not match. It changes nothing and is never read.
    OddNeighbour,

    /// The writer has the file extended with NULs that its lines fill, and cuts it to size. Each line is delivered once.
    Preallocate,
    /// The same through a map: nothing is ever cut, and the NULs stay.
    WriteMapped,

    /// The file is replaced by a new one with the same lines and perhaps some more. Each is delivered once.
    ReplaceByOwn,
    /// The file is replaced by a new one with its newer half and some more. Each line is delivered once; the older half
    /// where the old file is held, else that is a loss told.
    KeepNewerHalf,
    /// A new, empty file is renamed over the log, as conmon does it. What was held is read, the rest is a loss told, of
    /// unknown size where the file was not at rest.
    RenameOver,

    /// A human copies the file to a name that no rotator gives. The copy is not delivered again.
    CopyBeside,
    /// The newest generation is a copy of the file, which goes on. No line is delivered twice.
    CopySnapshot,
    /// The file is renamed, made anew, and copied from there to the newest generation; the renamed one is deleted.
    Renamecopy,
    /// Copytruncate with lines that are written between the copy and the cut, and a scan that sees it happen. What the copy has is read from there, and
    /// once; what it has not is a loss told.
    WriteBeforeCut,
    /// The same, and an orderly stop and a start come before the cut.
    StopBeforeCut,
    /// The same with a file that is smaller than the head by which a life is known ([`crate::log::Anchor::BYTES`]).
    WriteBeforeSmallCut,
    /// Copytruncate of a life that nobody looked at when a whole line stood in it. The copy is read all the same.
    CopytruncateUnlooked,

    /// A file is deleted directly after a scan. It is read to its end while the process lives; after a kill what was
    /// not read is a loss told.
    DeleteHeld,
    /// A file is deleted before the first look after a start. What was not read is a loss told.
    DeleteUnheld,

    /// A writer keeps its descriptor over a rotation of a file that a scan has looked at. Late lines are delivered, once, in whatever order to newer ones.
    LateOnRenamed,
    /// A writer opens the file and writes nothing to it until it was rotated and looked at. Its late lines are delivered.
    LateOnEmpty,
    /// A writer goes on in a file that was deleted or moved away and is not at rest. What is written while the process
    /// lives is delivered, or a loss told where it is killed.
    LateOnNameless,
    /// The same with a file that was at rest before the late lines came.
    LateAfterSeal,
    /// A writer goes on in a file that was replaced by a new one with all its lines. As with `LateOnNameless`.
    LateOnReplaced,

    /// The time stands before the extension: `a-<time>.log`. As with `RotateByRename`.
    TimeBeforeExtension,
    /// The number stands before the extension, the newest is the lowest: `a.1.log`.
    NumberBeforeExtension,
    /// The same, and the newest is the highest.
    NumberUpward,
    /// The time stands before the name: `<time>-a.log`.
    TimeBeforeName,
    /// `current` is rotated to `@<time>.s`.
    CurrentToAt,
    /// The generations stand in a directory beside the file. As with `RotateByRename`.
    OldDirectory,
    /// Any of these with a glob that has the generations, too. Each line is delivered once; the order of generations
    /// is not promised.
    RotateInGlob,

    /// The same, and generations become gzip files. They are read on in those.
    CompressInGlob,

    /// The writer dies amid a line, and cuts what it did not finish at its next start. Nothing is sent again, and the
    /// torn piece never.
    CutTornTail,

    /// A generation becomes a zstd file. It is read on in that.
    CompressToZstd,
    /// A generation becomes an xz file. It is read on in that.
    CompressToXz,
    /// A generation becomes a bzip2 file. It is read on in that.
    CompressToBzip2,
    /// A generation becomes an lz4 file. It is read on in that.
    CompressToLz4,
    /// A generation becomes a compressed file that has another time than its last write: that of the compression, or
    /// one long ago. It is read on in that, and not again; the order of generations is not promised.
    CompressAtOtherTime,

    /// A file that no rotator made, and no path names, has a name that begins with the log's. It is never read.
    SecretBeside,
    /// The same, and it is written to all the time.
    NeighbourBeside,
    /// A live file whose name begins with the log's is in the glob. Its lines are delivered, once, in their order.
    NeighbourInGlob,

    /// A path is first met when it has rotated generations already. They are read first.
    MeetWithSiblings,
}

use TailOperation as O;

impl TailOperation {
    /// What every history has.
    pub(super) const BASE: &[Self] =
        &[O::Append, O::BeginLine, O::Scan, O::Read, O::KillAndStart, O::StopAndStart, O::RotateByRename];

    /// What comes between the steps of others.
    pub(super) const AMID: &[Self] = &[O::ScanAmid, O::WriteAmid, O::StopAmid];

    /// What some histories have beside that, one or two of them.
    pub(super) const EXTRA: &[Self] = &[
        O::OddGeneration,
        O::OddMatch,
        O::OddNeighbour,
        O::Preallocate,
        O::WriteMapped,
        O::ReplaceByOwn,
        O::KeepNewerHalf,
        O::RenameOver,
        O::CopyBeside,
        O::CopySnapshot,
        O::Renamecopy,
        O::WriteBeforeCut,
        O::StopBeforeCut,
        O::WriteBeforeSmallCut,
        O::CopytruncateUnlooked,
        O::DeleteHeld,
        O::DeleteUnheld,
        O::LateOnRenamed,
        O::LateOnEmpty,
        O::LateOnNameless,
        O::LateAfterSeal,
        O::LateOnReplaced,
        O::TimeBeforeExtension,
        O::NumberBeforeExtension,
        O::NumberUpward,
        O::TimeBeforeName,
        O::CurrentToAt,
        O::OldDirectory,
        O::RotateInGlob,
        O::CompressInGlob,
        O::CutTornTail,
        O::CompressToZstd,
        O::CompressToXz,
        O::CompressToBzip2,
        O::CompressToLz4,
        O::CompressAtOtherTime,
        O::SecretBeside,
        O::NeighbourBeside,
        O::NeighbourInGlob,
        O::MeetWithSiblings,
    ];

    /// Every operation there is.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let some = [O::Copytruncate, O::CompressToGzip, O::DeleteAfterLooks];
        [Self::BASE, &some, Self::AMID, Self::EXTRA].concat().into_iter()
    }

    /// How often it comes, compared with the others of its history.
    pub(super) fn weight(self) -> u32 {
        match self {
            O::Append => 30,
            O::BeginLine => 10,
            O::Scan => 20,
            O::Read => 15,
            O::RotateByRename | O::KillAndStart | O::Copytruncate => 7,
            O::StopAndStart | O::DeleteAfterLooks | O::CompressToGzip => 4,
            // These come in the midst of others, not by themselves.
            O::ScanAmid | O::WriteAmid | O::StopAmid => 0,
            _ => 9,
        }
    }

    /// Only where the glob has the generations, or only where it has not.
    pub(super) fn wants_glob(self) -> Option<bool> {
        match self {
            O::OddMatch | O::RotateInGlob | O::CompressInGlob | O::NeighbourInGlob => Some(true),
            O::TimeBeforeExtension
            | O::NumberBeforeExtension
            | O::NumberUpward
            | O::TimeBeforeName
            | O::CurrentToAt
            | O::OldDirectory
            | O::CopyBeside
            | O::SecretBeside
            | O::NeighbourBeside => Some(false),
            _ => None,
        }
    }

    /// Whether it is a form of copytruncate.
    pub(super) fn cuts(self) -> bool {
        matches!(self, O::WriteBeforeCut | O::StopBeforeCut | O::WriteBeforeSmallCut | O::CopytruncateUnlooked)
    }

    /// Whether nothing comes between its steps.
    pub(super) fn is_at_once(self) -> bool {
        matches!(
            self,
            O::DeleteAfterLooks
                | O::DeleteHeld
                | O::DeleteUnheld
                | O::WriteBeforeCut
                | O::StopBeforeCut
                | O::WriteBeforeSmallCut
                | O::KeepNewerHalf
        )
    }

    /// Whether it may share a history with copytruncate. One that has the writer keep its own place in the file, or
    /// that deletes the file, would lose by the cut what it promises.
    pub(super) fn goes_with_copytruncate(self) -> bool {
        matches!(
            self,
            O::OddNeighbour
                | O::WriteBeforeCut
                | O::StopBeforeCut
                | O::WriteBeforeSmallCut
                | O::CopytruncateUnlooked
                | O::SecretBeside
                | O::NeighbourBeside
                | O::NeighbourInGlob
                | O::MeetWithSiblings
                | O::CompressToZstd
                | O::CompressToXz
                | O::CompressToBzip2
                | O::CompressToLz4
                | O::CompressAtOtherTime
        )
    }
}

impl fmt::Display for TailOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
