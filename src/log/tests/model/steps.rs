//! The small steps that operations are made of. Others come between them.

use std::ffi::OsString;

use super::{
    disk::ModelDisk,
    packer::{FilePacker, PackedTime},
};

/// One thing that happens to the disk.
#[derive(Clone, Debug)]
pub(super) enum DiskStep {
    FinishLine,
    /// Generations move up: these names, in this order.
    Shift(Vec<(OsString, OsString)>),
    Rename(OsString, OsString),
    Create(OsString),
    Append(OsString, u32),
    /// File times move in steps of a clock tick.
    Tick,
    Copy(OsString, OsString),
    /// A copy that belongs to nothing.
    CopyBeside(OsString, OsString),
    Truncate(OsString),
    Remove(OsString),
    MoveAway(OsString),
    BeginPack(OsString, OsString, FilePacker),
    Pack(OsString, OsString, FilePacker, PackedTime),
    /// Writes what is about to replace a file: so many of its last lines, and so many new ones.
    WriteReplacement(OsString, usize, u32),
    KeepWriter(OsString),
    AppendLate(usize, u32),
    Reserve(OsString, u64),
    CutReserve(OsString),
    /// The writer dies amid a line, or amid NULs.
    Tear(OsString, bool),
    CutTorn,
    /// A line that is never to be read.
    WriteForeign(OsString),
    /// Not a step of the disk: a look.
    Scan,
    /// Not a step of the disk: the process ends, killed or not, and is started.
    Restart(bool),
}

impl DiskStep {
    /// Does it; what is not of the disk is its caller's.
    pub(super) fn run(self, disk: &mut ModelDisk) {
        match self {
            Self::FinishLine => drop(disk.finish_line()),
            Self::Shift(names) => names.iter().for_each(|(from, to)| disk.rename(from, to)),
            Self::Rename(from, to) => disk.rename(&from, &to),
            Self::Create(name) => drop(disk.create(&name)),
            Self::Append(name, lines) => disk.append(&name, lines),
            Self::Tick => std::thread::sleep(std::time::Duration::from_millis(9)),
            Self::Copy(from, to) => disk.copy(&from, &to),
            Self::CopyBeside(from, to) => {
                if disk.has(&from) {
                    std::fs::copy(disk.path(&from), disk.path(&to)).unwrap();
                }
            }
            Self::Truncate(name) => disk.truncate(&name),
            Self::Remove(name) => disk.remove(&name),
            Self::MoveAway(name) => disk.move_away(&name),
            Self::BeginPack(from, to, packer) => disk.begin_pack(&from, &to, packer),
            Self::Pack(from, to, packer, time) => disk.pack(&from, &to, packer, time),
            Self::WriteReplacement(of, keep, more) => disk.write_replacement(&of, keep, more),
            Self::KeepWriter(name) => disk.keep_writer(&name),
            Self::AppendLate(which, lines) => disk.append_late(which, lines),
            Self::Reserve(name, bytes) => disk.reserve(&name, bytes),
            Self::CutReserve(name) => disk.cut_reserve(&name),
            Self::Tear(name, nuls) => disk.tear(&name, nuls),
            Self::CutTorn => disk.cut_torn(),
            Self::WriteForeign(name) => disk.write_foreign(&name),
            Self::Scan | Self::Restart(_) => {}
        }
    }
}
