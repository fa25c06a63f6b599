//! gzip by libdeflate, which takes a body as a whole: between any two levels of zlib it is smaller in less time.

use libdeflater::{CompressionLvl, Compressor};

pub(super) const LEVELS: std::ops::RangeInclusive<u8> = 1..=12;
pub(super) const FAST: u8 = 1;
pub(super) const DEFAULT: u8 = 6;
pub(super) const BEST: u8 = 9;

pub(super) struct LibdeflateGzip {
    compressor: Compressor,
    /// Grows to the greatest bound that a body asked for.
    buffer: Vec<u8>,
}

impl LibdeflateGzip {
    pub(super) fn new(level: u8) -> LibdeflateGzip {
        let level = CompressionLvl::new(i32::from(level)).unwrap_or_default();
        LibdeflateGzip { compressor: Compressor::new(level), buffer: Vec::new() }
    }

    pub(super) fn compress(&mut self, body: &[u8]) -> Result<&[u8], String> {
        let bound = self.compressor.gzip_compress_bound(body.len());
        if self.buffer.len() < bound {
            self.buffer.resize(bound, 0);
        }
        let written = self.compressor.gzip_compress(body, &mut self.buffer).map_err(|error| error.to_string())?;
        Ok(&self.buffer[..written])
    }
}
