//! Writing dead letters, durably.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use base64::{engine::general_purpose::STANDARD, write::EncoderWriter};
use serde::Serialize;

use crate::{durable, log::RecordDigest};

use super::{DeadLetter, LetterEnvelope, LetterFilter, MAX_TEXT, read};

/// A new file is begun when the last one is larger, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// Where a forwarder's dead letters go. One per forwarder, under the state directory's lock.
#[derive(Debug)]
pub struct DeadLetters {
    forwarder: String,
    directory: PathBuf,
    /// The number of the newest file; 0 where there is none.
    newest: u64,
    /// The newest file, where it may be appended to, and its length.
    pub(super) open: Option<(File, u64)>,
    file_limit: u64,
}

impl DeadLetters {
    /// Opens the dead letters of a forwarder; cuts off a last line that a crash left torn.
    ///
    /// # Errors
    /// Where the directory is refused (see [`durable::create_private_dir`]) or its newest file cannot be mended.
    pub fn open(state_dir: &Path, forwarder: &str) -> io::Result<Self> {
        Self::open_with(state_dir, forwarder, FILE_LIMIT)
    }

    pub(super) fn open_with(state_dir: &Path, forwarder: &str, file_limit: u64) -> io::Result<Self> {
        let directory = read::directory(state_dir, forwarder)?;
        for path in [&state_dir.join("dead-letters"), &directory] {
            durable::create_private_dir(path).map_err(io::Error::other)?;
        }
        let newest = read::numbers(&directory)?.last().copied().unwrap_or(0);
        let mut letters = Self { forwarder: forwarder.to_owned(), directory, newest, open: None, file_limit };
        if newest > 0 {
            letters.reopen()?;
        }
        Ok(letters)
    }

    /// Which of these events have a letter. Reads all letters that there are.
    pub fn written(&self, event_ids: &[String]) -> io::Result<HashSet<String>> {
        let wanted: HashSet<&str> = event_ids.iter().map(String::as_str).collect();
        let mut found = HashSet::new();
        for letter in read::in_directories(std::slice::from_ref(&self.directory), LetterFilter::default())? {
            let letter = letter?;
            if wanted.contains(letter.event_id.as_str()) {
                found.insert(letter.event_id);
            }
            if found.len() == wanted.len() {
                break;
            }
        }
        Ok(found)
    }

    /// Writes letters and makes them durable.
    ///
    /// # Errors
    /// Those of the storage. None of the letters counts then; some may show up all the same.
    pub fn write(&mut self, letters: &[DeadLetter<'_>]) -> io::Result<()> {
        self.write_with(|forwarder, out| letters.iter().try_for_each(|letter| write_letter(out, forwarder, letter)))
    }

    /// Writes one letter whose payload comes from a reader, in bounded memory, and makes it durable.
    ///
    /// # Errors
    /// Those of the reader and of the storage. The letter does not count then.
    pub fn write_stream(
        &mut self,
        envelope: &LetterEnvelope<'_>,
        payload: &mut dyn Read,
    ) -> io::Result<RecordDigest> {
        self.write_with(|forwarder, out| {
            write_open_line(out, &head(forwarder, envelope, None))?;
            out.write_all(b",\"payload_base64\":\"")?;
            let streamed = encode(out, payload)?;
            writeln!(out, "\",\"bytes\":{},\"sha256\":\"{}\"}}", streamed.bytes, streamed.hex())?;
            Ok(streamed)
        })
    }

    /// Lets `fill` write whole lines to the end of the newest file. After an error that file is as it was, as well
    /// as that can be done, and is never written to again.
    fn write_with<T>(
        &mut self,
        fill: impl FnOnce(&str, &mut BufWriter<&mut File>) -> io::Result<T>,
    ) -> io::Result<T> {
        let (mut file, before) = self.take_file()?;
        let mut out = BufWriter::with_capacity(1 << 16, &mut file);
        let filled = fill(&self.forwarder, &mut out).and_then(|result| out.flush().map(|()| result));
        drop(out);
        let written = filled.and_then(|result| file.sync_data().map(|()| result));
        match written {
            Ok(result) => {
                let length = file.metadata()?.len();
                self.open = Some((file, length));
                Ok(result)
            }
            Err(e) => {
                // Where this fails too, the next start mends it.
                let _ = file.set_len(before).and_then(|()| file.sync_data());
                let text = format!("cannot write to the dead letters in {}: {e}", self.directory.display());
                Err(io::Error::new(e.kind(), text))
            }
        }
    }

    /// The newest file and its length; a new one where that is full, mended or failed.
    fn take_file(&mut self) -> io::Result<(File, u64)> {
        if let Some((file, length)) = self.open.take()
            && length < self.file_limit
            && read::path(&self.directory, self.newest).try_exists()?
        {
            return Ok((file, length));
        }
        durable::create_private_dir(&self.directory).map_err(io::Error::other)?;
        loop {
            self.newest += 1;
            match durable::create_file(&read::path(&self.directory, self.newest)) {
                // Made by a try that failed later on: it is not ours to append to.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                created => return Ok((created?, 0)),
            }
        }
    }

    /// Goes on with the newest file, where it ends with a whole line; else mends it and leaves it.
    fn reopen(&mut self) -> io::Result<()> {
        let path = read::path(&self.directory, self.newest);
        let file = durable::append_file(&path)?;
        let length = file.metadata()?.len();
        let whole = end_of_last_line(&path, length)?;
        if whole == length {
            self.open = Some((file, length));
            return Ok(());
        }
        file.set_len(whole)?;
        file.sync_data()
    }
}

/// Where the last whole line ends.
fn end_of_last_line(path: &Path, length: u64) -> io::Result<u64> {
    let mut file = durable::read_file(path)?;
    let mut block = Vec::with_capacity(1 << 16);
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(1 << 16);
        block.clear();
        file.seek(SeekFrom::Start(start))?;
        (&file).take(end - start).read_to_end(&mut block)?;
        if let Some(at) = memchr::memrchr(b'\n', &block) {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[derive(Serialize)]
struct LetterHead<'a> {
    v: u32,
    event_id: &'a str,
    forwarder: &'a str,
    source: &'a str,
    reason: &'a str,
    status: Option<u16>,
    excerpt: &'a str,
    time: String,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

fn head<'a>(forwarder: &'a str, envelope: &LetterEnvelope<'a>, bytes: Option<usize>) -> LetterHead<'a> {
    LetterHead {
        v: 1,
        event_id: envelope.event_id,
        forwarder,
        source: envelope.source,
        reason: envelope.reason.as_str(),
        status: envelope.status,
        excerpt: cut(envelope.excerpt),
        time: envelope.time.to_string(),
        detail: cut(envelope.detail),
        bytes,
    }
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn write_letter(out: &mut impl Write, forwarder: &str, letter: &DeadLetter<'_>) -> io::Result<()> {
    write_open_line(out, &head(forwarder, &letter.envelope, Some(letter.payload.len())))?;
    match str::from_utf8(letter.payload) {
        Ok(text) => {
            out.write_all(b",\"payload\":")?;
            serde_json::to_writer(&mut *out, text)?;
            out.write_all(b"}\n")
        }
        Err(_) => {
            out.write_all(b",\"payload_base64\":\"")?;
            encode(out, &mut &letter.payload[..])?;
            out.write_all(b"\"}\n")
        }
    }
}

/// Writes a JSON object without its closing brace.
fn write_open_line(out: &mut impl Write, head: &LetterHead<'_>) -> io::Result<()> {
    let mut json = serde_json::to_vec(head)?;
    json.pop();
    if json.len() > read::MAX_HEAD {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the event's id is too long for a dead letter"));
    }
    out.write_all(&json)
}

fn encode(out: &mut impl Write, payload: &mut dyn Read) -> io::Result<RecordDigest> {
    let mut encoder = EncoderWriter::new(out, &STANDARD);
    let streamed = RecordDigest::read(payload, |piece| encoder.write_all(piece))?;
    encoder.finish()?;
    Ok(streamed)
}
