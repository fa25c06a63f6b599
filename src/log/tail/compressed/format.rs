//! How a file is compressed, told by its first bytes.
//!
//! A name says nothing for certain: a rotator may give a compressed file any. It is asked where the bytes are too few, or
//! begin as no format does that is known.

use std::{
    fs::File,
    io,
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::Path,
};

use super::super::identity::is_compressed;

/// What the first bytes of a file, and then its name, say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedFormat {
    Plain,
    /// Its content can be had.
    Packed,
    /// It is compressed as the text says, and there is no decoder for that.
    Undecodable(&'static str),
    /// Its compressor has just begun: it will be told once there is more of it.
    Begun,
}

/// How one member of a compressed file is compressed: what a compressor wrote in one go. Several may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberFormat {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
    /// A frame of zstd or lz4 without content.
    Skippable,
}

/// So many bytes tell every format.
pub const LONGEST_MAGIC: usize = 10;

const MAGICS: [(&[u8], MemberFormat); 6] = [
    (b"\x1F\x8B", MemberFormat::Gzip),
    (b"\x28\xB5\x2F\xFD", MemberFormat::Zstd),
    (b"\xFD7zXZ\x00", MemberFormat::Xz),
    (b"BZh", MemberFormat::Bzip2),
    (b"\x04\x22\x4D\x18", MemberFormat::Lz4),
    (b"*M\x18", MemberFormat::Skippable), // Behind one of sixteen bytes.
];

/// Where a block of bzip2 begins, or none does, behind `BZh` and a digit.
const BZIP2_BLOCKS: [&[u8]; 2] = [b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"];

const UNDECODABLE: [(&[u8], &str); 12] = [
    (b"\x1F\x9D", "compress, .Z"),
    (b"\x1F\xA0", "compress -H"),
    (b"\x1F\x1E", "pack, .z"),
    (b"\x5D\x00\x00", "lzma"),
    (b"LZIP\x01", "lzip"),
    (b"\x89LZO\x00", "lzop"),
    (b"\x02\x21\x4C\x18", "lz4 -l"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"7z\xBC\xAF\x27\x1C", "7z"),
    (b"Rar!\x1A\x07", "rar"),
    (b"\xFF\x06\x00\x00sNaPpY", "snappy"),
];

impl MemberFormat {
    /// Of what begins so; `None` where no format does that there is a decoder for.
    pub fn of(first: &[u8]) -> Option<Self> {
        let (_, format) = MAGICS.iter().find(|(magic, format)| match format {
            Self::Skippable => first.first().is_some_and(|byte| byte >> 4 == 5) && first[1..].starts_with(magic),
            _ => first.starts_with(magic),
        })?;
        let is_block = |rest: &[u8]| BZIP2_BLOCKS.iter().any(|block| rest.starts_with(block));
        // `BZh` alone is text as well.
        (*format != Self::Bzip2 || first.get(3).is_some_and(u8::is_ascii_digit) && is_block(&first[4..]))
            .then_some(*format)
    }
}

impl PackedFormat {
    /// Of the file that stands at this path.
    pub fn of(file: &File, path: &Path) -> io::Result<Self> {
        /// Enough to tell text from what a compressor makes.
        const LOOKED_AT: usize = 64;
        let mut first = [0; LOOKED_AT];
        let got = file.read_at(&mut first, 0)?;
        Ok(Self::told_by(&first[..got], path))
    }

    fn told_by(first: &[u8], path: &Path) -> Self {
        if MemberFormat::of(first).is_some() {
            return Self::Packed;
        }
        if let Some((_, name)) = UNDECODABLE.iter().find(|(magic, _)| first.starts_with(magic)) {
            return Self::Undecodable(name);
        }
        if !is_compressed(path) {
            return Self::Plain;
        }
        let is_begun = |magic: &[u8]| magic.len() > first.len() && magic.starts_with(first);
        let bzip2 = first.len() < LONGEST_MAGIC && first.starts_with(b"BZh");
        if bzip2 || MAGICS.iter().any(|(magic, _)| is_begun(magic)) {
            return Self::Begun;
        }
        // Some, as brotli, have no first bytes of their own.
        match path.extension().map(OsStrExt::as_bytes) {
            _ if first.iter().all(|byte| is_of_text(*byte)) => Self::Plain,
            Some(b"br") => Self::Undecodable("brotli"),
            _ => Self::Undecodable("as nothing that is known"),
        }
    }
}

fn is_of_text(byte: u8) -> bool {
    byte >= b' ' || b"\t\n\r\x0C\x1B".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(name: &str, first: &[u8]) -> PackedFormat {
        PackedFormat::told_by(first, Path::new(name))
    }

    #[test]
    fn the_first_bytes_tell_whatever_the_name_says() {
        for name in ["a.log", "a.log.1", "a.log.1.gz", "a.log.1.txt"] {
            for first in [
                &b"\x1F\x8B\x08\x00"[..],
                b"\x28\xB5\x2F\xFD\x24",
                b"\xFD7zXZ\x00\x00\x04",
                b"BZh91AY&SY\x01",
                b"BZh9\x17\x72\x45\x38\x50\x90",
                b"\x04\x22\x4D\x18\x60",
                b"\x50*M\x18\x04\x00",
                b"\x5F*M\x18",
            ] {
                assert_eq!(format(name, first), PackedFormat::Packed, "{name} {first:?}");
            }
            for (first, how) in UNDECODABLE {
                assert_eq!(format(name, first), PackedFormat::Undecodable(how), "{name}");
            }
            for text in ["{\"a\":1}\n", "BZh is what bzip2 writes\n", "BZh9", "(1)\n", "P*M\n", "7z\n", "LZIP\n"] {
                let plain = if is_compressed(Path::new(name)) && text == "BZh9" {
                    PackedFormat::Begun
                } else {
                    PackedFormat::Plain
                };
                assert_eq!(format(name, text.as_bytes()), plain, "{name} {text}");
            }
        }
    }

    #[test]
    fn a_name_is_asked_where_the_bytes_do_not_tell() {
        for first in [&b""[..], b"\x1F", b"\x28\xB5", b"BZh9", b"\xFD7z"] {
            assert_eq!(format("a.log.1.gz", first), PackedFormat::Begun, "{first:?}");
            assert_eq!(format("a.log.1", first), PackedFormat::Plain, "{first:?}");
        }
        assert_eq!(format("a.log.br", b"\x1B\x03\x00\xF8\x1D\xA9"), PackedFormat::Undecodable("brotli"));
        assert_eq!(format("a.log.1.xz", b"\x00\x01\x02"), PackedFormat::Undecodable("as nothing that is known"));
        assert_eq!(format("a.log.1", b"\x00\x01\x02"), PackedFormat::Plain);
    }
}
