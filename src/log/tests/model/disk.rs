//! The files of the followed lineages, on the disk and in the model.
//!
//! Each change is made to both. What a change destroys decides what is still promised: a line is promised as long as a
//! file has it that belongs to the lineage, or as long as the running process holds the only file that has it. A line
//! of a file that the process does not hold is lost with it: that is told, unless nobody ever looked at that file.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::{self, OpenOptions},
    io::Write,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    late::LateWriter,
    ledger::{LineFate, LineLedger, text},
};
use crate::log::Anchor;

/// The name under which a file is written that is about to replace the active one.
pub(super) const REPLACEMENT: &str = "new-a";

/// The same of one that is empty, while the active one is written to.
pub(super) const EMPTY_REPLACEMENT: &str = "empty-a";

/// One life of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelFile {
    pub(super) lines: Vec<u32>,
    pub(super) family: u32,
    /// A scan looked at it.
    pub(super) known: bool,
    /// A scan of the running process did, or did when it had another name: its descriptor is held.
    pub(super) held: bool,
    /// A scan looked at it when a whole line stood in it: only then is its copy known by its content.
    pub(super) looked: bool,
    pub(super) packed: bool,
    /// Where what was written ends, in a file that is larger than that.
    pub(super) reserved: Option<u64>,
}

#[derive(Debug)]
pub(super) struct ModelDisk {
    logs: PathBuf,
    pub(super) names: BTreeMap<OsString, usize>,
    pub(super) files: Vec<ModelFile>,
    /// Files without a name that the running process holds.
    pub(super) nameless: Vec<usize>,
    pub(super) late: Vec<LateWriter>,
    pub(super) ledger: LineLedger,
    /// The end of a line that was begun, and the file's name.
    open_line: Option<(OsString, u32, String)>,
    /// A file whose writer died amid a line, and where its last whole line ends.
    pub(super) torn: Option<(OsString, u64)>,
    /// Files may be made within one tick of the clock that gives them their times: the names tell their order.
    hurries: bool,
    /// When the newest file was made, as the file system says.
    newest_birth: Option<SystemTime>,
}

impl ModelDisk {
    pub(super) fn new(logs: PathBuf, hurries: bool) -> Self {
        fs::create_dir(logs.join("old")).unwrap();
        Self {
            logs,
            names: BTreeMap::new(),
            files: Vec::new(),
            nameless: Vec::new(),
            late: Vec::new(),
            ledger: LineLedger::default(),
            open_line: None,
            torn: None,
            hurries,
            newest_birth: None,
        }
    }

    pub(super) fn path(&self, name: &OsStr) -> PathBuf {
        self.logs.join(name)
    }

    pub(super) fn has(&self, name: &OsStr) -> bool {
        self.names.contains_key(name)
    }

    pub(super) fn file(&self, name: &OsStr) -> Option<&ModelFile> {
        self.names.get(name).map(|index| &self.files[*index])
    }

    /// Whether a file has no more bytes than its life is known by.
    pub(super) fn is_small(&self, name: &OsStr) -> bool {
        fs::metadata(self.path(name)).is_ok_and(|file| file.len() < Anchor::BYTES as u64)
    }

    /// Names of generations, which a compressor may take: plain, and written to by nobody.
    pub(super) fn plain_generations(&self, active: &OsStr) -> Vec<OsString> {
        let generation = |name: &OsStr| name != active && family_of(name) == 0 && !is_replacement(name);
        let at_rest = |index: usize| !self.files[index].packed && self.late.iter().all(|late| late.index != index);
        let names = self.names.iter().filter(|(name, index)| generation(name) && at_rest(**index));
        names.map(|(name, _)| name.clone()).collect()
    }

    /// Whether the writer is dead, or is about to replace its file.
    pub(super) fn bars_writing(&self) -> bool {
        self.torn.is_some() || self.has(OsStr::new(REPLACEMENT))
    }

    pub(super) fn create(&mut self, name: &OsStr) -> usize {
        if let Some(index) = self.names.get(name) {
            return *index;
        }
        self.wait_for_tick();
        OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        if !self.hurries {
            // A look alone lets a file system with fine times give the next change another one.
            self.newest_birth = Some(birth(&self.path(name)));
        }
        self.add(name, ModelFile { family: family_of(name), ..ModelFile::default() })
    }

    /// Of generations with one birth only the numbers in their names tell the order.
    fn wait_for_tick(&self) {
        let probe = self.logs.with_file_name("probe");
        while self.newest_birth.is_some() {
            fs::write(&probe, "").unwrap();
            let now = birth(&probe);
            fs::remove_file(&probe).unwrap();
            if Some(now) > self.newest_birth {
                return;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    pub(super) fn add(&mut self, name: &OsStr, file: ModelFile) -> usize {
        self.files.push(file);
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.files.len() - 1
    }

    pub(super) fn append(&mut self, name: &OsStr, lines: u32) {
        let index = self.create(name);
        for _ in 0..lines {
            let number = self.ledger.next(self.files[index].family, index);
            self.write(name, &format!("{}\n", text(number)));
            self.is_written(index, number);
        }
    }

    fn is_written(&mut self, index: usize, number: u32) {
        self.files[index].lines.push(number);
        self.ledger.set_fate(number, LineFate::Promised);
    }

    fn write(&mut self, name: &OsStr, bytes: &str) {
        let path = self.path(name);
        let index = self.names[name];
        match &mut self.files[index].reserved {
            Some(end) => {
                let file = OpenOptions::new().write(true).open(path).unwrap();
                file.write_all_at(bytes.as_bytes(), *end).unwrap();
                *end += bytes.len() as u64;
            }
            None => OpenOptions::new().append(true).open(path).unwrap().write_all(bytes.as_bytes()).unwrap(),
        }
    }

    pub(super) fn has_open_line(&self) -> bool {
        self.open_line.is_some()
    }

    pub(super) fn begin_line(&mut self, name: &OsStr) {
        let index = self.create(name);
        let number = self.ledger.next(self.files[index].family, index);
        let line = format!("{}\n", text(number));
        let (begun, rest) = line.split_at(1 + number as usize % 5);
        self.write(name, begun);
        self.open_line = Some((name.to_owned(), number, rest.to_owned()));
    }

    /// Whether there was one to finish.
    pub(super) fn finish_line(&mut self) -> bool {
        let Some((name, number, rest)) = self.open_line.take() else { return false };
        self.write(&name, &rest);
        self.is_written(self.names[&name], number);
        true
    }

    /// The writer dies amid a line.
    pub(super) fn tear(&mut self, name: &OsStr, nuls: bool) {
        let index = self.create(name);
        let whole = fs::metadata(self.path(name)).unwrap().len();
        let number = self.ledger.next(self.files[index].family, index);
        let torn = if nuls { "\0".repeat(100) } else { text(number)[..3].to_owned() };
        self.write(name, &torn);
        self.ledger.tore(torn.len());
        self.torn = Some((name.to_owned(), whole));
    }

    /// It cuts what it did not finish.
    pub(super) fn cut_torn(&mut self) {
        let Some((name, whole)) = self.torn.take() else { return };
        OpenOptions::new().write(true).open(self.path(&name)).unwrap().set_len(whole).unwrap();
    }

    pub(super) fn reserve(&mut self, name: &OsStr, bytes: u64) {
        let index = self.create(name);
        let file = OpenOptions::new().write(true).open(self.path(name)).unwrap();
        let end = self.files[index].reserved.unwrap_or_else(|| file.metadata().unwrap().len());
        file.set_len(file.metadata().unwrap().len().max(end + bytes)).unwrap();
        self.files[index].reserved = Some(end);
    }

    pub(super) fn cut_reserve(&mut self, name: &OsStr) {
        let Some(index) = self.names.get(name).copied() else { return };
        let Some(end) = self.files[index].reserved.take() else { return };
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(end).unwrap();
    }

    pub(super) fn rename(&mut self, from: &OsStr, to: &OsStr) {
        let Some(index) = self.names.remove(from) else { return };
        fs::rename(self.path(from), self.path(to)).unwrap();
        let over = self.names.insert(to.to_owned(), index);
        over.into_iter().for_each(|over| self.lost_its_name(over));
    }

    pub(super) fn remove(&mut self, name: &OsStr) {
        let Some(index) = self.names.remove(name) else { return };
        fs::remove_file(self.path(name)).unwrap();
        self.lost_its_name(index);
    }

    /// To where nobody looks.
    pub(super) fn move_away(&mut self, name: &OsStr) {
        let Some(index) = self.names.remove(name) else { return };
        let away = self.logs.with_file_name("away");
        fs::create_dir_all(&away).unwrap();
        fs::rename(self.path(name), away.join(index.to_string())).unwrap();
        self.lost_its_name(index);
    }

    /// A copy that belongs to the lineage.
    pub(super) fn copy(&mut self, from: &OsStr, to: &OsStr) {
        let Some(file) = self.file(from).cloned() else { return };
        fs::copy(self.path(from), self.path(to)).unwrap();
        self.add(to, ModelFile { lines: file.lines, family: file.family, ..ModelFile::default() });
    }

    /// The same file begins another life.
    pub(super) fn truncate(&mut self, name: &OsStr) {
        let Some(index) = self.names.get(name).copied() else { return };
        OpenOptions::new().write(true).truncate(true).open(self.path(name)).unwrap();
        let ModelFile { known, held, family, .. } = self.files[index];
        self.add(name, ModelFile { known, held, family, ..ModelFile::default() });
        self.lost_its_content(index);
    }

    /// Writes the file that is about to replace another: some of its lines, the last ones, and more.
    pub(super) fn write_replacement(&mut self, of: &OsStr, keep: usize, more: u32) {
        let Some(file) = self.file(of).cloned() else { return };
        let lines = file.lines[file.lines.len() - keep.min(file.lines.len())..].to_vec();
        let bytes: String = lines.iter().map(|number| text(*number) + "\n").collect();
        let name = OsStr::new(REPLACEMENT);
        fs::write(self.path(name), bytes).unwrap();
        self.add(name, ModelFile { lines, family: file.family, ..ModelFile::default() });
        self.append(name, more);
    }

    /// To a file that is none of ours.
    pub(super) fn write_foreign(&self, name: &OsStr) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(b"a line that is never to be read\n").unwrap();
    }

    pub(super) fn is_named(&self, index: usize) -> bool {
        self.names.values().any(|named| *named == index)
    }

    fn lost_its_name(&mut self, index: usize) {
        if self.files[index].held {
            self.nameless.push(index);
        } else {
            self.lost_its_content(index);
        }
    }

    /// What is in no other file cannot be read any more.
    fn lost_its_content(&mut self, index: usize) {
        let others = self.names.values().chain(&self.nameless).filter(|other| **other != index);
        let kept: Vec<u32> = others.flat_map(|other| &self.files[*other].lines).copied().collect();
        if self.files[index].known {
            self.ledger.vanished();
        }
        let fate = if self.files[index].known { LineFate::Told } else { LineFate::Unpromised };
        let lines = self.files[index].lines.clone();
        for number in lines.into_iter().filter(|number| !kept.contains(number)) {
            if !self.ledger.is_delivered(number) {
                self.ledger.set_fate(number, fate);
            }
        }
    }

    /// A scan looked at all that has a name, and through every descriptor that is held.
    pub(super) fn was_scanned(&mut self) {
        let named: Vec<(OsString, usize)> = self.names.iter().map(|(name, index)| (name.clone(), *index)).collect();
        for (name, index) in named.into_iter().filter(|(name, _)| !is_replacement(name)) {
            let whole = fs::metadata(self.path(&name)).is_ok_and(|file| file.len() >= 7);
            let file = &mut self.files[index];
            (file.known, file.held) = (true, true);
            file.looked |= whole;
            file.lines.iter().for_each(|number| self.ledger.saw(*number));
        }
        for index in &self.nameless {
            self.files[*index].lines.iter().for_each(|number| self.ledger.saw(*number));
        }
    }

    /// The process ended. Killed, it takes with it what it held; stopped, it took that in before.
    pub(super) fn was_ended(&mut self, killed: bool) {
        let nameless = std::mem::take(&mut self.nameless);
        if killed {
            nameless.into_iter().for_each(|index| self.lost_its_content(index));
            self.ledger.forget_sight();
        } else {
            // Of each that somebody may go on writing to, the next start says so.
            nameless.into_iter().for_each(|_| self.ledger.vanished());
        }
        self.files.iter_mut().for_each(|file| file.held = false);
    }
}

/// A name that no source looks at.
fn is_replacement(name: &OsStr) -> bool {
    name == REPLACEMENT || name == EMPTY_REPLACEMENT
}

fn birth(path: &Path) -> SystemTime {
    let file = fs::metadata(path).unwrap();
    file.created().or_else(|_| file.modified()).unwrap()
}

/// Each followed path has its own lines, in its own order.
fn family_of(name: &OsStr) -> u32 {
    let name = name.as_bytes();
    match name {
        _ if name.starts_with(b"path") => 1 + name.iter().filter(|byte| byte.is_ascii_digit()).fold(0, number),
        _ if name.starts_with(b"a.log.json") => 1000,
        _ if name.starts_with(b"a.log-\xFF") => 1001,
        _ => 0,
    }
}

fn number(so_far: u32, digit: &u8) -> u32 {
    so_far * 10 + u32::from(digit - b'0')
}
