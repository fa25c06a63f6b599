//! The content of a compressed file, read in a stream.
//!
//! A file is a run of members, each compressed by itself; frames without content and zeros between or behind them are
//! passed over, as the tools that make such files have it. Memory is what a member's format needs, [`MOST_WINDOW`] at
//! most; a member that asks for more is refused before it is had.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    os::unix::fs::FileExt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lz4_flex::frame::{Error as Lz4Error, FrameDecoder as Lz4Decoder};
use lzma_rust2::XzReader;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder as ZstdDecoder, errors::FrameDecoderError};

use super::format::{LONGEST_MAGIC, MemberFormat};

/// As far back as a member may point: zstd's window, or xz's dictionary. It is what the tools themselves decompress
/// without being asked to; their highest levels but zstd's `--long=28` and above stay below.
pub const MOST_WINDOW: u64 = 128 * 1024 * 1024;

/// What a decoder needs beside its window.
const DECODER_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes of memory that reading one compressed file may take.
pub const MOST_MEMORY: u64 = MOST_WINDOW + DECODER_BYTES;

/// Reads the content of a compressed file.
///
/// # Errors
/// Those of reading the file have their number. Else the kind says what it is: `UnexpectedEof` where the file was cut
/// off, `Unsupported` where it may be whole and cannot be read here, and damage where it is another.
pub struct PackedReader<'a>(Option<FileMember<'a>>);

enum FileMember<'a> {
    Between(Box<PackedBytes<'a>>),
    Gzip(Box<GzDecoder<Box<PackedBytes<'a>>>>),
    Zstd(Box<ZstdFrame<'a>>),
    Xz(Box<XzReader<Box<PackedBytes<'a>>>>),
    Bzip2(Box<BzDecoder<Box<PackedBytes<'a>>>>),
    Lz4(Box<Lz4Decoder<Box<PackedBytes<'a>>>>),
}

impl<'a> PackedReader<'a> {
    pub fn new(file: &'a File) -> Self {
        Self(Some(FileMember::Between(Box::new(PackedBytes::new(file)))))
    }

    fn read_member(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(member) = &mut self.0 else { return Ok(0) };
        // A decoder that panics has met damage that it does not expect: no reason to end a scan.
        let read = catch_unwind(AssertUnwindSafe(|| member.read(buffer)));
        let error = match read {
            Ok(Ok(0)) if member.was_cut() => io::ErrorKind::UnexpectedEof.into(),
            Ok(Ok(got)) => return Ok(got),
            Ok(Err(error)) => member.judge(error),
            Err(_) => io::Error::new(io::ErrorKind::InvalidData, "its decoder gave up"),
        };
        self.0 = None;
        Err(error)
    }
}

impl Read for PackedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let got = self.read_member(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            let Some(member) = self.0.take() else { return Ok(0) };
            self.0 = member.next()?;
        }
    }
}

impl<'a> FileMember<'a> {
    /// What follows this one, which was read to its end.
    fn next(self) -> io::Result<Option<Self>> {
        let is_first = matches!(&self, Self::Between(bytes) if bytes.is_untouched());
        let mut bytes = self.into_bytes();
        if !is_first {
            bytes.pass_zeros()?;
        }
        bytes.ended = false;
        let first = bytes.peek(LONGEST_MAGIC)?;
        if first.is_empty() {
            return Ok(None);
        }
        let Some(format) = MemberFormat::of(first) else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "other bytes stand behind what was compressed"));
        };
        Ok(Some(match format {
            MemberFormat::Gzip => Self::Gzip(Box::new(GzDecoder::new(bytes))),
            MemberFormat::Zstd => Self::Zstd(Box::new(ZstdFrame::begin(bytes)?)),
            MemberFormat::Xz => {
                let most = (MOST_MEMORY / 1024) as u32;
                Self::Xz(Box::new(XzReader::new_mem_limit(bytes, false, most)))
            }
            MemberFormat::Bzip2 => Self::Bzip2(Box::new(BzDecoder::new(bytes))),
            MemberFormat::Lz4 => Self::Lz4(Box::new(Lz4Decoder::new(bytes))),
            MemberFormat::Skippable => {
                bytes.pass_frame()?;
                Self::Between(bytes)
            }
        }))
    }

    fn into_bytes(self) -> Box<PackedBytes<'a>> {
        match self {
            Self::Between(bytes) => bytes,
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(frame) => frame.bytes,
            Self::Xz(decoder) => decoder.into_inner(),
            Self::Bzip2(decoder) => decoder.into_inner(),
            Self::Lz4(decoder) => decoder.into_inner(),
        }
    }

    fn bytes(&self) -> &PackedBytes<'a> {
        match self {
            Self::Between(bytes) => bytes,
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zstd(frame) => &frame.bytes,
            Self::Xz(decoder) => decoder.inner(),
            Self::Bzip2(decoder) => decoder.get_ref(),
            Self::Lz4(decoder) => decoder.get_ref(),
        }
    }

    /// The decoder of lz4 takes a file that ends between two blocks for a whole one.
    fn was_cut(&self) -> bool {
        matches!(self, Self::Lz4(decoder) if decoder.get_ref().ended)
    }

    /// What an error of the decoder means: it may have been handed through in another guise.
    fn judge(&self, error: io::Error) -> io::Error {
        let bytes = self.bytes();
        let of_lz4 = error.get_ref().and_then(|inner| inner.downcast_ref::<Lz4Error>());
        if matches!(of_lz4, Some(Lz4Error::DictionaryNotSupported)) {
            return with_a_dictionary();
        }
        match (bytes.failed, error.kind()) {
            (Some(number), _) => io::Error::from_raw_os_error(number),
            (None, io::ErrorKind::OutOfMemory) => too_large(),
            (None, io::ErrorKind::Unsupported) => error,
            (None, _) if bytes.ended => io::ErrorKind::UnexpectedEof.into(),
            (None, _) => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        }
    }
}

impl Read for FileMember<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Between(_) => Ok(0),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(frame) => frame.read(buffer),
            Self::Xz(decoder) => decoder.read(buffer),
            Self::Bzip2(decoder) => decoder.read(buffer),
            Self::Lz4(decoder) => decoder.read(buffer),
        }
    }
}

fn too_large() -> io::Error {
    let most = MOST_WINDOW >> 20;
    let text = format!("it asks for a window of more than {most} MiB to be decompressed");
    io::Error::new(io::ErrorKind::Unsupported, text)
}

fn with_a_dictionary() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "it was compressed with a dictionary")
}

/// One frame of zstd, whose checksum and length are held against what came of it.
struct ZstdFrame<'a> {
    decoder: ZstdDecoder,
    bytes: Box<PackedBytes<'a>>,
    decoded: u64,
}

impl<'a> ZstdFrame<'a> {
    fn begin(mut bytes: Box<PackedBytes<'a>>) -> io::Result<Self> {
        let mut decoder = ZstdDecoder::new();
        decoder.set_max_window_size(MOST_WINDOW);
        let begun = decoder.init(&mut bytes).map_err(|error| match error {
            FrameDecoderError::WindowSizeTooBig { .. } => too_large(),
            FrameDecoderError::DictNotProvided { .. } => with_a_dictionary(),
            error => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        });
        let frame = Self { decoder, bytes, decoded: 0 };
        match begun {
            Ok(()) => Ok(frame),
            Err(error) => Err(FileMember::Zstd(Box::new(frame)).judge(error)),
        }
    }
}

impl Read for ZstdFrame<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let blocks = self.decoder.decode_blocks(&mut self.bytes, BlockDecodingStrategy::UptoBlocks(1));
            blocks.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        }
        let got = self.decoder.read(buffer)?;
        self.decoded += got as u64;
        if got == 0 && !buffer.is_empty() {
            let sum = self.decoder.get_checksum_from_data();
            let (size, right) = (self.decoder.content_size(), self.decoder.get_calculated_checksum());
            if sum.is_some() && sum != right || size > 0 && size != self.decoded {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its checksum or length is wrong"));
            }
        }
        Ok(got)
    }
}

/// The bytes of a compressed file, one after the other.
struct PackedBytes<'a> {
    file: &'a File,
    /// Where the next bytes of the file are read.
    offset: u64,
    buffer: Vec<u8>,
    from: usize,
    to: usize,
    /// Somebody asked for more than there is.
    ended: bool,
    /// The number of an error of reading the file.
    failed: Option<i32>,
}

impl<'a> PackedBytes<'a> {
    const CAPACITY: usize = 64 * 1024;

    fn new(file: &'a File) -> Self {
        let buffer = vec![0; Self::CAPACITY];
        Self { file, offset: 0, buffer, from: 0, to: 0, ended: false, failed: None }
    }

    fn is_untouched(&self) -> bool {
        self.offset == 0
    }

    /// The next bytes, `most` unless the file ends before.
    fn peek(&mut self, most: usize) -> io::Result<&[u8]> {
        while self.to - self.from < most {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            match self.file.read_at(&mut self.buffer[self.to..], self.offset) {
                Ok(0) => break,
                Ok(got) => (self.to, self.offset) = (self.to + got, self.offset + got as u64),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failed = error.raw_os_error();
                    return Err(error);
                }
            }
        }
        Ok(&self.buffer[self.from..self.to])
    }

    fn pass_zeros(&mut self) -> io::Result<()> {
        loop {
            let bytes = self.fill_buf()?;
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let is_all = zeros == bytes.len() && zeros > 0;
            self.consume(zeros);
            if !is_all {
                return Ok(());
            }
        }
    }

    /// Over a frame without content: four bytes, its length, and as many more.
    fn pass_frame(&mut self) -> io::Result<()> {
        let mut head = [0; 8];
        self.read_exact(&mut head)?;
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let passed = io::copy(&mut self.take(length), &mut io::sink())?;
        if passed < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}

impl Read for PackedBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(buffer)?;
        self.consume(got);
        Ok(got)
    }
}

impl BufRead for PackedBytes<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.peek(1)?;
        self.ended |= self.from == self.to;
        Ok(&self.buffer[self.from..self.to])
    }

    fn consume(&mut self, amount: usize) {
        self.from += amount;
    }
}
