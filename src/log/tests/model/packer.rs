//! Compressors, and the compressed files that they make of the model's.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Write,
    time::{Duration, SystemTime},
};

use super::disk::{ModelDisk, ModelFile};
use crate::log::tests::packed::gzip;

/// A way to compress a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::log) enum FilePacker {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Lz4,
}

/// The time that a compressor leaves its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PackedTime {
    /// That of the last write to the original, as most do it.
    Kept,
    /// That of the compression, as the kubelet does it.
    Fresh,
    /// One that says nothing.
    Past,
}

impl FilePacker {
    pub(in crate::log) const ALL: [Self; 5] = [Self::Gzip, Self::Zstd, Self::Xz, Self::Bzip2, Self::Lz4];

    pub(in crate::log) fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
            Self::Bzip2 => ".bz2",
            Self::Lz4 => ".lz4",
        }
    }

    pub(in crate::log) fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => gzip(bytes),
            Self::Zstd => ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest),
            Self::Xz => {
                let options = lzma_rust2::XzOptions::with_preset(1);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
        }
    }
}

impl ModelDisk {
    /// The compressor has got half way.
    pub(super) fn begin_pack(&mut self, from: &OsStr, to: &OsStr, packer: FilePacker) {
        if self.has(from) {
            let packed = packer.pack(&fs::read(self.path(from)).unwrap());
            fs::write(self.path(to), &packed[..packed.len() / 2]).unwrap();
        }
    }

    /// Makes the compressed file, with this time; the original stays.
    pub(super) fn pack(&mut self, from: &OsStr, to: &OsStr, packer: FilePacker, time: PackedTime) {
        let Some(file) = self.file(from).cloned() else { return };
        let modified = fs::metadata(self.path(from)).unwrap().modified().unwrap();
        fs::write(self.path(to), packer.pack(&fs::read(self.path(from)).unwrap())).unwrap();
        let modified = match time {
            PackedTime::Kept => Some(modified),
            PackedTime::Fresh => None,
            PackedTime::Past => Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)),
        };
        if let Some(modified) = modified {
            File::options().write(true).open(self.path(to)).unwrap().set_modified(modified).unwrap();
        }
        self.add(to, ModelFile { lines: file.lines, family: file.family, packed: true, ..ModelFile::default() });
    }
}
