//! One record, read again from its file: for the dead letters and for hashing, in bounded memory.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use memchr::memchr;

use super::{
    Log, RecordDigest, Segment, SegmentRange, SegmentState, Unread,
    cri::{CriLine, MAX_HEAD},
    reader::read_fully,
};
use crate::config::{CriStream, LineFormat};

/// The bytes of one record, without its line end: of what a container wrote, the message.
#[derive(Debug)]
pub struct RecordBytes {
    file: Arc<File>,
    at: u64,
    end: u64,
    /// Where it is put together from the lines of this stream, and whether reading stands before one of them.
    parts: Option<(CriStream, bool)>,
    /// Where it goes on, if a rotation cut it.
    behind: std::vec::IntoIter<(Arc<File>, SegmentRange)>,
}

impl Log {
    /// The record at `range`, which goes on in `continued`.
    pub fn record(&self, range: SegmentRange, continued: &[SegmentRange]) -> Result<RecordBytes, Unread> {
        let pieces = [range].into_iter().chain(continued.iter().copied());
        let pieces = pieces.map(|range| Ok((self.file_of(range)?, range))).collect::<Result<Vec<_>, Unread>>()?;
        Ok(RecordBytes::new(pieces, self.format)?)
    }

    /// The length and the hash of the record at `range`.
    pub fn digest(&self, range: SegmentRange) -> Result<RecordDigest, Unread> {
        Ok(self.record(range, &[])?.digest()?)
    }

    fn file_of(&self, range: SegmentRange) -> Result<Arc<File>, Unread> {
        let segments = self.segments();
        let segment = segments.iter().find(|segment| segment.id == range.segment);
        let is_there = |segment: &&Arc<Segment>| {
            let extent = segment.extent();
            let kept = segment.kept_from.is_none_or(|kept| kept <= range.start);
            extent.state != SegmentState::Gone && range.end <= extent.there && kept
        };
        let Some(segment) = segment.filter(is_there) else { return Err(Unread::Gone("its file is gone".to_owned())) };
        Ok(segment.open()?)
    }
}

impl RecordBytes {
    fn new(mut pieces: Vec<(Arc<File>, SegmentRange)>, format: LineFormat) -> io::Result<Self> {
        for end in [b'\n', b'\r'] {
            let Some((file, last)) = pieces.last_mut() else { break };
            if last.is_empty() || byte(file, last.end - 1)? != end {
                break;
            }
            last.end -= 1;
        }
        let mut behind = pieces.into_iter();
        let (file, range) = behind.next().expect("a record is somewhere");
        let mut record = Self { file, at: range.start, end: range.end, parts: None, behind };
        if let LineFormat::Cri(stream) = format
            && record.head_of_part()?.is_some()
        {
            record.parts = Some((stream, true));
        }
        Ok(record)
    }

    /// Goes on in the next file; false where there is none.
    fn next_file(&mut self) -> bool {
        let Some((file, range)) = self.behind.next() else { return false };
        (self.file, self.at, self.end) = (file, range.start, range.end);
        self.parts = self.parts.map(|(stream, _)| (stream, true));
        true
    }

    /// Reads all of it.
    pub fn digest(mut self) -> io::Result<RecordDigest> {
        RecordDigest::read(&mut self, |_| Ok(()))
    }

    fn read_raw(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let want = buffer.len().min(left);
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

    /// Of the line where reading stands: its stream, and how many bytes are before its message.
    fn head_of_part(&self) -> io::Result<Option<(CriStream, u64)>> {
        let mut head = [0; MAX_HEAD];
        let most = (self.end - self.at).min(MAX_HEAD as u64) as usize;
        let got = read_fully(&self.file, &mut head[..most], self.at)?;
        let line = &head[..memchr(b'\n', &head[..got]).unwrap_or(got)];
        Ok(CriLine::parse(line).map(|part| (part.stream, (line.len() - part.message.len()) as u64)))
    }

    /// Passes over a line that is not a part, or over the NUL before a line.
    fn pass_line(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let start = self.at;
        while self.at < self.end {
            let got = self.read_raw(&mut buffer)?;
            if self.at - got as u64 == start && buffer[0] == 0 {
                let hole = buffer[..got].iter().take_while(|byte| **byte == 0).count();
                self.at = start + hole as u64;
                return Ok(());
            }
            if let Some(length) = memchr(b'\n', &buffer[..got]) {
                self.at -= (got - length - 1) as u64;
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Read for RecordBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((stream, _)) = self.parts else { return self.read_raw(buffer) };
        while !buffer.is_empty() && (self.at < self.end || self.next_file()) {
            if self.parts == Some((stream, true)) {
                match self.head_of_part()? {
                    Some((its, length)) if its == stream => self.at += length,
                    _ => {
                        self.pass_line()?;
                        continue;
                    }
                }
                self.parts = Some((stream, false));
            }
            let got = self.read_raw(buffer)?;
            match memchr(b'\n', &buffer[..got]) {
                None => return Ok(got),
                Some(length) => {
                    self.at -= (got - length - 1) as u64;
                    self.parts = Some((stream, true));
                    if length > 0 {
                        return Ok(length);
                    }
                }
            }
        }
        Ok(0)
    }
}

fn byte(file: &File, offset: u64) -> io::Result<u8> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    Ok(byte[0])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::log::SegmentId;

    fn read(text: &str, format: LineFormat, piece: usize) -> String {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(text.as_bytes(), 0).unwrap();
        let range = SegmentRange { segment: SegmentId(1), start: 0, end: text.len() as u64 };
        let mut record = RecordBytes::new(vec![(Arc::new(file), range)], format).unwrap();
        let (mut buffer, mut all) = (vec![0; piece], Vec::new());
        loop {
            match record.read(&mut buffer).unwrap() {
                0 => return String::from_utf8(all).unwrap(),
                got => all.extend_from_slice(&buffer[..got]),
            }
        }
    }

    #[test]
    fn a_record_in_parts_is_its_message_and_any_other_its_bytes() {
        let time = "2026-11-22T04:00:00.000000001Z";
        let parts = format!(
            "{time} stdout P {{\"a\"\r\n{time} stderr F x stdout F y\n\n\0\0{time} stdout P \n{time} stdout F :1}}\r\n"
        );
        let cri = LineFormat::Cri(CriStream::Stdout);
        for piece in [1, 2, 7, 100, 1000] {
            assert_eq!(read(&parts, cri, piece), "{\"a\"\r:1}");
            assert_eq!(read("no such line\n", cri, piece), "no such line");
            assert_eq!(read(&parts, LineFormat::Lines, piece), parts.strip_suffix("\r\n").unwrap());
        }
    }
}
