//! What an application, a log rotator or an accident does to the files.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    ops::Range,
    path::Path,
};

use super::Sidecar;
use crate::events;

/// What [`Sidecar::append`] does, for a thread that has only the path.
pub fn append(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_ref()).unwrap();
}

impl Sidecar {
    /// Appends text as it is, in one write; creates the file and its directories where they are missing.
    pub fn append(&self, file: &str, text: impl AsRef<[u8]>) {
        append(&self.path(file), text);
    }

    /// Appends the numbered events of `range`.
    pub fn write_lines(&self, file: &str, range: Range<u64>) {
        self.append(file, events::lines(range));
    }

    /// Renames a file, over another one if need be, as rotation does.
    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// Makes a symbolic link, or points it elsewhere at once.
    pub fn symlink(&self, target: &str, link: &str) {
        let new = format!("{link}.new");
        std::os::unix::fs::symlink(self.path(target), self.path(&new)).unwrap();
        self.rename(&new, link);
    }

    /// Cuts the file to `bytes` in place.
    pub fn truncate(&self, file: &str, bytes: u64) {
        let file = OpenOptions::new().write(true).open(self.path(file));
        file.unwrap().set_len(bytes).unwrap();
    }

    pub fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    /// What logrotate's `copytruncate` does: copies the file, then cuts it to nothing.
    pub fn copytruncate(&self, file: &str, to: &str) {
        let mut source = File::open(self.path(file)).unwrap();
        let mut copy = File::create_new(self.path(to)).unwrap();
        std::io::copy(&mut source, &mut copy).unwrap();
        self.truncate(file, 0);
    }

    pub fn read(&self, file: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.path(file)).unwrap()).into_owned()
    }

    /// The texts of all files below a directory, by relative path; empty where it is not there.
    pub fn read_all(&self, dir: &str) -> Vec<(String, String)> {
        let Ok(entries) = fs::read_dir(self.path(dir)) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in entries.map(Result::unwrap) {
            let path = format!("{dir}/{}", entry.file_name().display());
            if entry.file_type().unwrap().is_dir() {
                found.extend(self.read_all(&path));
            } else {
                found.push((path.clone(), self.read(&path)));
            }
        }
        found.sort();
        found
    }

    /// The lines of a forwarder's dead letters, oldest first.
    pub fn dead_letters(&self, forwarder: &str) -> Vec<serde_json::Value> {
        self.read_all(&format!("state/dead-letters/{forwarder}"))
            .iter()
            .flat_map(|(_, text)| text.lines())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}
