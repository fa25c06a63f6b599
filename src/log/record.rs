//! One record, read again from its file: for the dead letters and for hashing, in bounded memory.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use super::{Log, Range, Segment, State, Unread};

/// The bytes of one line, without its line end.
#[derive(Debug)]
pub struct Record {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Log {
    /// The record at `range`.
    pub fn record(&self, range: Range) -> Result<Record, Unread> {
        let segments = self.segments();
        let segment = segments.iter().find(|segment| segment.id == range.segment);
        let is_there = |segment: &&Arc<Segment>| {
            let extent = segment.extent();
            let kept = segment.kept_from.is_none_or(|kept| kept <= range.start);
            extent.state != State::Gone && range.end <= extent.there && kept
        };
        let Some(segment) = segment.filter(is_there) else { return Err(Unread::Gone("its file is gone".to_owned())) };
        Ok(Record::new(segment.open()?, range)?)
    }
}

impl Record {
    fn new(file: Arc<File>, range: Range) -> io::Result<Self> {
        let mut record = Self { file, at: range.start, end: range.end };
        for end in [b'\n', b'\r'] {
            if record.at < record.end && record.byte(record.end - 1)? == end {
                record.end -= 1;
            } else {
                break;
            }
        }
        Ok(record)
    }

    /// In bytes.
    pub fn len(&self) -> u64 {
        self.end - self.at
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn byte(&self, offset: u64) -> io::Result<u8> {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, offset)?;
        Ok(byte[0])
    }
}

impl Read for Record {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.len()).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let got = self.file.read_at(&mut buffer[..want], self.at)?;
        if got == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was"));
        }
        self.at += got as u64;
        Ok(got)
    }
}
