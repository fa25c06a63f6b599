//! gzip by flate2 on zlib-rs, where there is no C compiler for libdeflate.
//!
//! The header and the trailer are ours, for what flate2 offers with them can not be reset and used again.

use flate2::{Compress, Compression, FlushCompress, Status};

pub(super) const LEVELS: std::ops::RangeInclusive<u8> = 0..=9;
pub(super) const FAST: u8 = 2;
pub(super) const DEFAULT: u8 = 6;
pub(super) const BEST: u8 = 8;

/// Deflate, no flags, no time, nothing said of the level, an unknown system (RFC 1952).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

pub(super) struct ZlibGzip {
    compress: Compress,
    buffer: Vec<u8>,
}

impl ZlibGzip {
    pub(super) fn new(level: u8) -> ZlibGzip {
        let compress = Compress::new(Compression::new(u32::from(level)), false);
        ZlibGzip { compress, buffer: Vec::new() }
    }

    pub(super) fn compress(&mut self, body: &[u8]) -> Result<&[u8], String> {
        self.compress.reset();
        self.buffer.clear();
        self.buffer.extend_from_slice(&HEADER);
        loop {
            let read = usize::try_from(self.compress.total_in()).map_err(|error| error.to_string())?;
            // Events shrink to a fifth; what does not goes round again.
            self.buffer.reserve((body.len() - read) / 4 + 1024);
            let finish = FlushCompress::Finish;
            match self.compress.compress_vec(&body[read..], &mut self.buffer, finish) {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.buffer.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
        // The length modulo 2^32 is what the format has room for.
        self.buffer.extend_from_slice(&(body.len() as u32).to_le_bytes());
        Ok(&self.buffer)
    }
}
