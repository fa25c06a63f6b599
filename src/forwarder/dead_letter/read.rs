//! Reading dead letters: one at a time, their payloads only when asked for, in bounded memory.

use std::{
    collections::HashSet,
    fs,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Component, Path, PathBuf},
    vec,
};

use base64::{engine::general_purpose::STANDARD, read::DecoderReader};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::durable;

/// What stands before a payload is shorter, in bytes.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// Which letters are wanted.
#[derive(Clone, Debug, Default)]
pub struct LetterFilter {
    pub forwarder: Option<String>,
    /// As written in the files.
    pub reason: Option<String>,
    /// Letters of this time and later ones.
    pub since: Option<Timestamp>,
}

/// A dead letter as it was found; its payload stays in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub event_id: String,
    pub forwarder: String,
    pub source: String,
    pub reason: String,
    pub status: Option<u16>,
    pub excerpt: String,
    pub time: Timestamp,
    pub detail: String,
    /// Of the payload.
    pub bytes: u64,
    file: PathBuf,
    payload: Payload,
}

/// Where a payload stands in its file: what is between the quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Payload {
    base64: bool,
    start: u64,
    end: u64,
}

impl Letter {
    /// Writes the payload, byte for byte.
    ///
    /// # Errors
    /// Those of reading the file and of `out`; `InvalidData` where the file was changed.
    pub fn copy_payload(&self, out: &mut dyn Write) -> io::Result<u64> {
        let mut file = durable::read_file(&self.file)?;
        file.seek(SeekFrom::Start(self.payload.start))?;
        let mut raw = BufReader::new(file).take(self.payload.end - self.payload.start);
        if self.payload.base64 {
            return io::copy(&mut DecoderReader::new(raw, &STANDARD), out);
        }
        let mut quoted = vec![b'"'];
        raw.read_to_end(&mut quoted)?;
        quoted.push(b'"');
        let text: String = serde_json::from_slice(&quoted)?;
        out.write_all(text.as_bytes())?;
        Ok(text.len() as u64)
    }
}

/// The letters that pass a filter: by forwarder, then in the order in which they were written, each event once.
///
/// # Errors
/// Where the directories cannot be listed. A state directory without dead letters has none.
pub fn select(state_dir: &Path, filter: LetterFilter) -> io::Result<Letters> {
    let mut forwarders = match &filter.forwarder {
        Some(forwarder) => vec![directory(state_dir, forwarder)?],
        None => subdirectories(&state_dir.join("dead-letters"))?,
    };
    forwarders.sort_unstable();
    in_directories(&forwarders, filter)
}

/// The letters of these directories that pass a filter.
pub(super) fn in_directories(directories: &[PathBuf], filter: LetterFilter) -> io::Result<Letters> {
    let mut files = Vec::new();
    for directory in directories {
        files.extend(numbers(directory)?.into_iter().map(|number| path(directory, number)));
    }
    Ok(Letters { filter, files: files.into_iter(), current: None, seen: HashSet::new(), unreadable: 0 })
}

/// See [`select`].
#[derive(Debug)]
pub struct Letters {
    filter: LetterFilter,
    files: vec::IntoIter<PathBuf>,
    current: Option<Scan>,
    /// Shortened digests of forwarder and event id.
    seen: HashSet<[u8; 16]>,
    unreadable: u64,
}

impl Letters {
    /// How many lines until now were no dead letters of this version. A last line that is being written is not counted.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn is_new(&mut self, letter: &Letter) -> bool {
        let digest =
            Sha256::new_with_prefix(&letter.forwarder).chain_update([0]).chain_update(&letter.event_id).finalize();
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        self.seen.insert(short)
    }
}

impl Iterator for Letters {
    type Item = io::Result<Letter>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(scan) = &mut self.current else {
                match Scan::open(self.files.next()?) {
                    Ok(scan) => self.current = Some(scan),
                    Err(e) => return Some(Err(e)),
                }
                continue;
            };
            match scan.next_line() {
                Ok(LetterLine::Letter(letter)) => {
                    if self.filter.passes(&letter) && self.is_new(&letter) {
                        return Some(Ok(*letter));
                    }
                }
                Ok(LetterLine::Unreadable) => self.unreadable += 1,
                Ok(LetterLine::End) => self.current = None,
                Err(e) => {
                    self.current = None;
                    return Some(Err(e));
                }
            }
        }
    }
}

impl LetterFilter {
    fn passes(&self, letter: &Letter) -> bool {
        self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && self.since.is_none_or(|since| letter.time >= since)
    }
}

/// One file being read.
#[derive(Debug)]
struct Scan {
    path: PathBuf,
    reader: BufReader<fs::File>,
    offset: u64,
    head: Vec<u8>,
}

enum LetterLine {
    Letter(Box<Letter>),
    Unreadable,
    End,
}

#[derive(Deserialize)]
struct StoredLetterHead {
    v: u32,
    event_id: String,
    forwarder: String,
    source: String,
    reason: String,
    status: Option<u16>,
    #[serde(default)]
    excerpt: Option<String>,
    time: String,
    #[serde(default)]
    detail: Option<String>,
    bytes: Option<u64>,
}

/// No JSON string holds an unescaped quote, so these stand nowhere but before a payload.
const TEXT: &[u8] = b",\"payload\":\"";
const BASE64: &[u8] = b",\"payload_base64\":\"";

impl Scan {
    fn open(path: PathBuf) -> io::Result<Self> {
        let reader = BufReader::with_capacity(1 << 16, durable::read_file(&path)?);
        Ok(Self { path, reader, offset: 0, head: Vec::new() })
    }

    fn next_line(&mut self) -> io::Result<LetterLine> {
        let start = self.offset;
        let Some((quote, padding)) = self.pass_line()? else {
            return Ok(LetterLine::End);
        };
        Ok(self
            .letter(start, quote, padding)
            .map_or(LetterLine::Unreadable, |letter| LetterLine::Letter(Box::new(letter))))
    }

    /// Passes over a line, keeping its head. Returns where its payload ends, if that was found: the first unescaped
    /// quote after [`TEXT`] or [`BASE64`], and how many `=` stand before it.
    fn pass_line(&mut self) -> io::Result<Option<(Option<u64>, u64)>> {
        self.head.clear();
        let mut end = End::default();
        loop {
            let block = self.reader.fill_buf()?;
            if block.is_empty() {
                return Ok(None);
            }
            let line_end = memchr::memchr(b'\n', block);
            let taken = line_end.map_or(block.len(), |at| at + 1);
            let kept = taken.min((MAX_HEAD + BASE64.len()).saturating_sub(self.head.len()));
            self.head.extend_from_slice(&block[..kept]);
            if end.from.is_none()
                && let Some((at, marker)) = marker(&self.head)
            {
                end.from = Some((at + marker.len()) as u64);
            }
            if let Some(from) = end.from {
                // The head keeps what came before this block, so the payload begins in this block or before it.
                let skip = usize::try_from(from.saturating_sub(end.passed)).unwrap_or(0).min(taken);
                end.scan_block(&block[skip..taken], end.passed + skip as u64);
            }
            end.passed += taken as u64;
            self.reader.consume(taken);
            self.offset += taken as u64;
            if line_end.is_some() {
                return Ok(Some((end.quote, end.padding)));
            }
        }
    }

    fn letter(&self, start: u64, quote: Option<u64>, padding: u64) -> Option<Letter> {
        let (at, marker) = marker(&self.head)?;
        let mut json = self.head[..at].to_vec();
        json.push(b'}');
        let head: StoredLetterHead = serde_json::from_slice(&json).ok()?;
        if head.v != 1 {
            return None;
        }
        let from = (at + marker.len()) as u64;
        let base64 = marker == BASE64;
        let payload = Payload { base64, start: start + from, end: start + quote? };
        let encoded = payload.end - payload.start;
        Some(Letter {
            event_id: head.event_id,
            forwarder: head.forwarder,
            source: head.source,
            reason: head.reason,
            status: head.status,
            excerpt: head.excerpt.unwrap_or_default(),
            time: head.time.parse().ok()?,
            detail: head.detail.unwrap_or_default(),
            bytes: head.bytes.unwrap_or((encoded / 4 * 3).saturating_sub(padding)),
            file: self.path.clone(),
            payload,
        })
    }
}

/// The search for the end of a payload, block by block. Offsets are from the line's beginning.
#[derive(Debug, Default)]
struct End {
    passed: u64,
    from: Option<u64>,
    quote: Option<u64>,
    /// How many `=` stand right before the quote.
    padding: u64,
    /// The last byte was a backslash that escapes the next one.
    escaped: bool,
}

impl End {
    fn scan_block(&mut self, block: &[u8], at: u64) {
        let mut rest = 0;
        while self.quote.is_none() && rest < block.len() {
            if self.escaped {
                self.escaped = false;
                rest += 1;
                continue;
            }
            let Some(found) = memchr::memchr2(b'"', b'\\', &block[rest..]) else {
                self.count_padding(&block[rest..]);
                return;
            };
            self.count_padding(&block[rest..rest + found]);
            rest += found;
            if block[rest] == b'\\' {
                self.escaped = true;
            } else {
                self.quote = Some(at + rest as u64);
            }
            rest += 1;
        }
    }

    fn count_padding(&mut self, piece: &[u8]) {
        let padding = piece.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding < piece.len() {
            self.padding = 0;
        }
        self.padding += padding as u64;
    }
}

fn marker(head: &[u8]) -> Option<(usize, &'static [u8])> {
    let find = |marker: &'static [u8]| memchr::memmem::find(head, marker).map(|at| (at, marker));
    find(TEXT).or_else(|| find(BASE64))
}

/// The directory of a forwarder's dead letters.
pub(super) fn directory(state_dir: &Path, forwarder: &str) -> io::Result<PathBuf> {
    let mut parts = Path::new(forwarder).components();
    if matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) && !forwarder.contains('/') {
        return Ok(state_dir.join("dead-letters").join(forwarder));
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no forwarder is called {forwarder:?}")))
}

pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.ndjson"))
}

/// The numbers of the files in a directory, in order. Other files are ignored; a missing directory has none.
pub(super) fn numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for name in names(directory)? {
        let number = name.strip_suffix(".ndjson").filter(|digits| digits.len() == 20);
        numbers.extend(number.and_then(|digits| digits.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn subdirectories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(names(directory)?.into_iter().map(|name| directory.join(name)).filter(|path| path.is_dir()).collect())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}
