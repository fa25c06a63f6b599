//! A finished body as it goes over the wire.
//!
//! A body is compressed once and as a whole; every try sends the same bytes. What always holds: the same body at
//! the same level gives the same bytes in the same build, for the gzip header names no time and no system.
//!
//! A [`Compressor`] and its buffer are used again for every body; a body is copied out of the buffer at its exact
//! size, so that what waits to be sent pins no more memory than it has bytes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::config::{self, CompressionLevel};

#[cfg(feature = "libdeflate")]
mod libdeflate;
#[cfg(not(feature = "libdeflate"))]
mod zlib;

#[cfg(feature = "libdeflate")]
use libdeflate::{self as backend, LibdeflateGzip as GzipBackend};
#[cfg(not(feature = "libdeflate"))]
use zlib::{self as backend, ZlibGzip as GzipBackend};

/// What a compressor keeps beside its output buffer, in bytes, at most.
pub const STATE_BYTES: usize = 1 << 20;

/// The backend's own level numbers. The configuration refuses others.
pub const LEVELS: std::ops::RangeInclusive<u8> = backend::LEVELS;

/// What tells a body from every other, before compression: kept in the journal to know it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub crc32: u32,
    /// In bytes.
    #[serde(rename = "length")]
    pub len: u64,
}

impl Digest {
    pub fn of(body: &[u8]) -> Digest {
        Digest { crc32: crc32fast::hash(body), len: body.len() as u64 }
    }
}

/// How a body was compressed for its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyCoding {
    pub coding: CodingName,
    /// The backend's own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodingName {
    Identity,
    Gzip,
    Zstd,
}

impl BodyCoding {
    pub fn of(compression: config::Compression) -> BodyCoding {
        match compression {
            config::Compression::None => BodyCoding { coding: CodingName::Identity, level: None },
            config::Compression::Gzip(level) => BodyCoding { coding: CodingName::Gzip, level: Some(number(level)) },
        }
    }
}

/// The backend's number of a level; one outside of [`LEVELS`] is taken for the nearest one inside.
fn number(level: CompressionLevel) -> u8 {
    match level {
        CompressionLevel::Fast => backend::FAST,
        CompressionLevel::Default => backend::DEFAULT,
        CompressionLevel::Best => backend::BEST,
        CompressionLevel::Number(number) => number.clamp(*LEVELS.start(), *LEVELS.end()),
    }
}

/// A body could not be compressed, which no body can cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "compressing a body of {bytes} bytes failed: {what}; nothing is lost, the batch is not sent before it succeeds"
)]
pub struct CompressError {
    bytes: usize,
    what: String,
}

/// Compresses the bodies of one forwarder, one at a time.
pub struct Compressor {
    gzip: Option<GzipBackend>,
}

impl Compressor {
    /// A level outside of [`LEVELS`] is taken for the nearest one inside.
    pub fn new(compression: config::Compression) -> Compressor {
        let gzip = match compression {
            config::Compression::None => None,
            config::Compression::Gzip(level) => Some(GzipBackend::new(number(level))),
        };
        Compressor { gzip }
    }

    /// The body as it is sent; a copy of it where nothing is to be compressed.
    ///
    /// It takes some milliseconds a megabyte: call it where blocking is allowed.
    pub fn compress(&mut self, body: &[u8]) -> Result<Bytes, CompressError> {
        let Some(gzip) = &mut self.gzip else {
            return Ok(Bytes::copy_from_slice(body));
        };
        match gzip.compress(body) {
            Ok(compressed) => Ok(Bytes::copy_from_slice(compressed)),
            Err(what) => Err(CompressError { bytes: body.len(), what }),
        }
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("gzip", &self.gzip.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::io::Read;

    use super::*;
    use config::Compression::{Gzip, None};

    fn decoded(wire: &[u8]) -> Vec<u8> {
        let mut decoder = flate2::bufread::GzDecoder::new(wire);
        let mut body = Vec::new();
        decoder.read_to_end(&mut body).unwrap();
        assert!(decoder.into_inner().is_empty(), "nothing stands behind the one member");
        body
    }

    fn bodies() -> Vec<Vec<u8>> {
        let mut random = fastrand::Rng::with_seed(7);
        let noise = std::iter::repeat_with(|| random.u8(..)).take(300_000).collect();
        let events = include_bytes!("../../tests/samples/connect.ndjson").repeat(40);
        vec![Vec::new(), b"x".to_vec(), vec![b'a'; 1_000_000], noise, events, b"last".to_vec()]
    }

    #[test]
    fn a_reused_compressor_gives_back_every_body_at_every_level() {
        for number in LEVELS {
            let mut compressor = Compressor::new(Gzip(CompressionLevel::Number(number)));
            for body in bodies() {
                assert_eq!(decoded(&compressor.compress(&body).unwrap()), body, "level {number}");
            }
        }
    }

    #[test]
    fn the_same_body_has_the_same_bytes_whatever_was_compressed_before() {
        for level in [CompressionLevel::Fast, CompressionLevel::Default, CompressionLevel::Best] {
            let mut used = Compressor::new(Gzip(level));
            for body in bodies() {
                let again = used.compress(&body).unwrap();
                assert_eq!(Compressor::new(Gzip(level)).compress(&body).unwrap(), again);
                assert_eq!(used.compress(&body).unwrap(), again);
            }
        }
    }

    #[test]
    fn the_header_tells_no_time_and_no_system() {
        let wire = Compressor::new(Gzip(CompressionLevel::Default)).compress(b"body").unwrap();
        assert_eq!(wire[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "magic, deflate, no flags, time 0");
        assert_eq!(wire[9], 255, "unknown system");
    }

    #[test]
    fn levels_go_from_fast_to_small() {
        let body = include_bytes!("../../tests/samples/konnect.ndjson").repeat(100);
        let size = |level| Compressor::new(Gzip(level)).compress(&body).unwrap().len();
        assert!(size(CompressionLevel::Fast) > size(CompressionLevel::Default));
        assert!(size(CompressionLevel::Default) >= size(CompressionLevel::Best));
        assert!(size(CompressionLevel::Default) < body.len() / 10);
        assert_eq!(size(CompressionLevel::Number(255)), size(CompressionLevel::Number(*LEVELS.end())));
    }

    #[test]
    fn a_compressor_goes_to_a_blocking_thread_and_comes_back() {
        let mut compressor = Compressor::new(Gzip(CompressionLevel::Default));
        let work = move || (compressor.compress(b"body").unwrap(), compressor);
        let (first, mut back) = std::thread::spawn(work).join().unwrap();
        assert_eq!(back.compress(b"body").unwrap(), first);
    }

    #[test]
    fn without_compression_the_body_is_sent_as_it_is() {
        assert_eq!(Compressor::new(None).compress(b"body").unwrap(), &b"body"[..]);
    }

    #[test]
    fn a_digest_tells_bodies_apart_and_is_the_trailer_of_the_gzip_member() {
        let digest = Digest::of(b"body");
        assert_ne!(digest, Digest::of(b"bodz"));
        assert_ne!(Digest::of(b""), Digest::of(b"\0"));
        let wire = Compressor::new(Gzip(CompressionLevel::Default)).compress(b"body").unwrap();
        let trailer = &wire[wire.len() - 8..];
        assert_eq!(trailer[..4], digest.crc32.to_le_bytes());
        assert_eq!(trailer[4..], (digest.len as u32).to_le_bytes());
    }
}
