//! Writers that go on in a file whatever becomes of its name.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::Write,
};

use super::{
    disk::ModelDisk,
    ledger::{LineFate, text},
};

/// A writer that keeps its descriptor.
#[derive(Debug)]
pub(super) struct LateWriter {
    file: File,
    pub(super) index: usize,
}

impl ModelDisk {
    /// A writer that goes on whatever becomes of the name.
    pub(super) fn keep_writer(&mut self, name: &OsStr) {
        let index = self.create(name);
        let file = OpenOptions::new().append(true).open(self.path(name)).unwrap();
        self.late.push(LateWriter { file, index });
    }

    /// A late line is promised where its file has a name or is held, and nobody's where it is not.
    pub(super) fn append_late(&mut self, which: usize, lines: u32) {
        let index = self.late[which].index;
        let is_held = self.nameless.contains(&index);
        let fate = if self.is_named(index) || is_held { LineFate::Promised } else { LineFate::Unpromised };
        for _ in 0..lines {
            let number = self.ledger.next(self.files[index].family, index);
            self.late[which].file.write_all(format!("{}\n", text(number)).as_bytes()).unwrap();
            self.files[index].lines.push(number);
            self.ledger.set_fate(number, fate);
        }
    }
}
