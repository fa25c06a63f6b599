//! Compressed files, read in a stream: what is in them, and their content put into a file of our own.
//!
//! Nothing is believed of such a file but its bytes. Memory is one block and what its format needs, whatever the file
//! claims to hold; a file that swells beyond reason is given up before anything of it is written. What is put down is durable under its
//! name or not there: a crash leaves a `.tmp` at most.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::members::PackedReader;
use crate::{
    durable,
    log::{
        data_end::data_len,
        identity::OpenFile,
        position::{Anchor, Cursor},
    },
};

/// Bytes decompressed at a time.
const BLOCK: usize = 256 * 1024;

/// Content that is more than so many times its compressed size is no log: lines of JSON come to 5 to 30 times.
const MOST_TIMES: u64 = 1000;

/// Below this nobody asks for the ratio.
const SMALL: u64 = 64 * 1024 * 1024;

/// What a compressed file holds beyond what was seen of the file that it was made from.
const MOST_UNSEEN: u64 = 4 * 1024 * 1024 * 1024;

/// What a compressed file holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Survey {
    /// It does not have the bytes that were asked for.
    Other,
    /// It swells beyond what a log can be, or cannot be decompressed here; the text says how.
    Refused(String),
    Holds(Content),
}

/// Bytes that can be had from a compressed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many there are to be had; in a damaged file up to the last whole line.
    pub size: u64,
    /// How many could be decompressed, without NUL at the end: room that a writer had taken and did not fill.
    pub decoded: u64,
    /// How many of the cursors asked for were reached, and are right.
    pub cursors: usize,
    /// Why there may have been more, or why what there is may be wrong.
    pub damage: Option<String>,
}

/// What a file must have to be the one that is looked for.
#[derive(Debug, Default)]
pub struct WantedContent<'a> {
    pub head: Cursor,
    /// In the order of their offsets.
    pub cursors: &'a [Cursor],
    /// Bytes that were seen of the file before it was compressed.
    pub seen: u64,
}

/// The first bytes of the content, [`Anchor::BYTES`] at most; fewer where no more can be decompressed. `progress` moves
/// once.
///
/// # Errors
/// Those of reading the file, and `Unsupported` where it cannot be decompressed here.
pub fn first_bytes(file: &File, progress: &AtomicU64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(Anchor::BYTES);
    progress.fetch_add(1, Relaxed);
    match PackedReader::new(file).take(Anchor::BYTES as u64).read_to_end(&mut bytes) {
        Err(error) if is_of_reading(&error) || error.kind() == io::ErrorKind::Unsupported => Err(error),
        _ => Ok(bytes),
    }
}

/// Reads it all and compares it with what is wanted. `progress` moves while it reads.
///
/// # Errors
/// Those of reading the file; damage in it is no error.
pub fn survey(file: &File, wanted: &WantedContent<'_>, progress: &AtomicU64) -> io::Result<Survey> {
    let packed = file.metadata()?.len();
    let mut decoder = PackedReader::new(file);
    let mut buffer = vec![0; Anchor::BYTES + BLOCK];
    // The bytes before this block, for the cursors that stand near its beginning.
    let mut kept = 0;
    let mut content = Content { size: 0, decoded: 0, cursors: 0, damage: None };
    let (mut whole, mut data, mut head_is_right) = (0, 0, wanted.head.offset == 0);
    loop {
        let got = match fill(&mut decoder, &mut buffer[kept..kept + BLOCK]) {
            Ok(got) => got,
            Err((_, error)) if is_of_reading(&error) => return Err(error),
            Err((_, error)) if error.kind() == io::ErrorKind::Unsupported => {
                return Ok(Survey::Refused(error.to_string()));
            }
            Err((got, error)) => {
                content.damage = Some(damage(&error));
                got
            }
        };
        let (before, bytes) = (content.decoded, &buffer[..kept + got]);
        content.decoded += got as u64;
        progress.fetch_add(1, Relaxed);
        let is_there = |cursor: &Cursor| {
            let end = kept + (cursor.offset - before) as usize;
            cursor.anchor.is_none_or(|anchor| Anchor::of(&bytes[..end]) == anchor)
        };
        if !head_is_right && wanted.head.offset <= content.decoded {
            head_is_right = is_there(&wanted.head);
            if !head_is_right {
                return Ok(Survey::Other);
            }
        }
        while let Some(cursor) = wanted.cursors.get(content.cursors).filter(|cursor| cursor.offset <= content.decoded)
        {
            if !is_there(cursor) {
                return Ok(Survey::Other);
            }
            content.cursors += 1;
        }
        if let Some(at) = memchr::memrchr(b'\n', &bytes[kept..]) {
            whole = before + at as u64 + 1;
        }
        if let length @ 1.. = data_len(&bytes[kept..]) {
            data = before + length as u64;
        }
        if let Some(bomb) = bomb(content.decoded, packed, wanted.seen) {
            return Ok(Survey::Refused(bomb));
        }
        if got < BLOCK || content.damage.is_some() {
            break;
        }
        let end = kept + got;
        buffer.copy_within(end - Anchor::BYTES..end, 0);
        kept = Anchor::BYTES;
    }
    if !head_is_right {
        return Ok(Survey::Other);
    }
    content.decoded = data;
    content.size = if content.damage.is_some() { whole } else { data };
    Ok(Survey::Holds(content))
}

/// Puts the first `size` bytes of the content into the file `to`; when this returns they are on disk under that name.
///
/// # Errors
/// `StorageFull` before anything is written, where there is no room; else those of reading and writing.
pub fn restore(file: &File, size: u64, to: &Path, progress: &AtomicU64) -> io::Result<OpenFile> {
    let directory = to.parent().unwrap_or(Path::new("."));
    durable::create_private_dir(directory).map_err(io::Error::other)?;
    durable::need_room(directory, size)?;
    durable::replace_with(to, |out| {
        let mut content = PackedReader::new(file).take(size);
        let mut block = vec![0; BLOCK];
        let mut left = size;
        while left > 0 {
            let got = match fill(&mut content, &mut block) {
                Ok(got) => got,
                Err((got, error)) if (got as u64) < left => return Err(error),
                Err((got, _)) => got,
            };
            if got == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the compressed file changed while it was read",
                ));
            }
            out.write_all(&block[..got])?;
            left -= got as u64;
            progress.fetch_add(1, Relaxed);
        }
        Ok(())
    })?;
    OpenFile::open(to)
}

fn is_of_reading(error: &io::Error) -> bool {
    error.raw_os_error().is_some()
}

/// Reads until the buffer is full or the content ends; an error comes with what was read before it.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, (usize, io::Error)> {
    let mut got = 0;
    while got < buffer.len() {
        match from.read(&mut buffer[got..]) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((got, error)),
        }
    }
    Ok(got)
}

fn damage(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it was cut off".to_owned(),
        _ => format!("it is damaged: {error}"),
    }
}

fn bomb(decoded: u64, packed: u64, seen: u64) -> Option<String> {
    if decoded > SMALL && decoded / MOST_TIMES > packed {
        return Some(format!(
            "its {packed} bytes come to more than {MOST_TIMES} times as many, and a log does not swell like that"
        ));
    }
    (decoded.saturating_sub(seen) > MOST_UNSEEN)
        .then(|| format!("it holds more than {MOST_UNSEEN} bytes beyond the {seen} that were seen"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::PathBuf;

    use flate2::{Compression, write::GzEncoder};

    use super::*;
    use crate::log::identity;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn lines(n: usize) -> Vec<u8> {
        (0..n).flat_map(|n| format!("line {n} {}\n", n * 7919 % 1000).into_bytes()).collect()
    }

    fn put(dir: &tempfile::TempDir, name: &str, bytes: &[u8]) -> (PathBuf, File) {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        (path, file)
    }

    fn holds(survey: Survey) -> Content {
        match survey {
            Survey::Holds(content) => content,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn content_is_known_by_its_marks_wherever_blocks_and_members_end() {
        let dir = tempfile::tempdir().unwrap();
        let text = lines(100_000);
        let (_, plain) = put(&dir, "plain", &text);
        let cut = text.len() / 3;
        let (_, packed) = put(&dir, "two.gz", &[gzip(&text[..cut]), gzip(&text[cut..])].concat());
        let size = text.len() as u64;
        let block = BLOCK as u64;
        let offsets = [1, 100, 256, block - 1, block, block + 1, block + 255, 2 * block, size];
        let cursors: Vec<Cursor> = offsets.iter().map(|at| identity::cursor_at(&plain, *at).unwrap()).collect();
        let head = identity::head(&plain, size).unwrap();
        let progress = AtomicU64::new(0);
        let wanted = WantedContent { head, cursors: &cursors, seen: size };
        let content = holds(survey(&packed, &wanted, &progress).unwrap());
        assert_eq!(content, Content { size, decoded: size, cursors: cursors.len(), damage: None });
        for wrong in 0..cursors.len() {
            let mut cursors = cursors.clone();
            cursors[wrong].anchor = Some(Anchor::of(b"other"));
            assert_eq!(
                survey(&packed, &WantedContent { head, cursors: &cursors, seen: size }, &progress).unwrap(),
                Survey::Other
            );
        }
        let beyond = Cursor { offset: size + 1, anchor: head.anchor };
        let content =
            holds(survey(&packed, &WantedContent { head, cursors: &[beyond], seen: size }, &progress).unwrap());
        assert_eq!(content.cursors, 0, "a cursor behind the end is not reached");
        let to = dir.path().join("restored").join("7");
        restore(&packed, size, &to, &progress).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), text);
        assert_eq!(first_bytes(&packed, &progress).unwrap(), text[..256]);
    }

    #[test]
    fn of_a_damaged_file_the_whole_lines_before_the_damage_are_had() {
        let dir = tempfile::tempdir().unwrap();
        let text = lines(50_000);
        let packed = gzip(&text);
        let progress = AtomicU64::new(0);
        for (name, bytes, why) in [
            ("cut", packed[..packed.len() / 2].to_vec(), "cut off"),
            ("no-trailer", packed[..packed.len() - 8].to_vec(), "cut off"),
            ("sum", [&packed[..packed.len() - 8], &[0; 8]].concat(), "damaged"),
        ] {
            let (_, file) = put(&dir, name, &bytes);
            let content = holds(survey(&file, &WantedContent::default(), &progress).unwrap());
            assert!(content.damage.as_ref().unwrap().contains(why), "{name}: {content:?}");
            assert!(content.size <= content.decoded && text[content.size as usize - 1] == b'\n');
            let to = dir.path().join("restored").join(name);
            restore(&file, content.size, &to, &progress).unwrap();
            assert_eq!(std::fs::read(&to).unwrap(), text[..content.size as usize], "{name}");
            assert_eq!(content.size == text.len() as u64, name != "cut", "{name}");
        }
    }

    #[test]
    fn a_bomb_is_given_up_early() {
        let dir = tempfile::tempdir().unwrap();
        let member = gzip(&vec![b'a'; 8 << 20]);
        let (_, file) = put(&dir, "bomb", &member.repeat(32));
        let progress = AtomicU64::new(0);
        assert!(matches!(survey(&file, &WantedContent::default(), &progress).unwrap(), Survey::Refused(_)));
        // It came to 256 MiB: it was left long before those were had.
        assert!(progress.load(Relaxed) < 256 * 4);
        assert!(
            bomb(SMALL + 1, 10, 0).is_some() && bomb(SMALL, 10, 0).is_none() && bomb(SMALL + 1, SMALL, 0).is_none()
        );
        assert!(bomb(MOST_UNSEEN + 2, SMALL, 1).is_some() && bomb(MOST_UNSEEN + 2, SMALL, 2).is_none());
    }
}
