//! The floor: what reading, compressing and posting the bytes costs with nothing else around it.

use std::{fs::File, io::Read, time::Instant};

use auditpost::internals::{Compression, CompressionLevel, Compressor};
use bytes::Bytes;

const BLOCK: usize = 1_000_000;

/// Reads blocks that end at a line end, hands them on compressed.
fn blocks(path: &str, mut take: impl FnMut(Bytes)) {
    let mut file = File::open(path).unwrap();
    let mut compressor = Compressor::new(Compression::Gzip(CompressionLevel::Default));
    let mut block = vec![0; BLOCK];
    let mut held = 0;
    loop {
        let got = file.read(&mut block[held..]).unwrap();
        held += got;
        if got > 0 && held < BLOCK {
            continue;
        }
        if held == 0 {
            return;
        }
        let end = memchr::memrchr(b'\n', &block[..held]).unwrap() + 1;
        take(compressor.compress(&block[..end]).unwrap());
        block.copy_within(end..held, 0);
        held -= end;
    }
}

pub fn run(path: &str, url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    blocks(path, |wire| {
        let request = client.post(url).header("content-encoding", "gzip").body(wire);
        assert!(runtime.block_on(request.send()).unwrap().status().is_success());
    });
}

/// One core's compression speed, reading included.
pub fn compress_only(path: &str) {
    let begun = Instant::now();
    let mut bytes = 0;
    blocks(path, |wire| bytes += wire.len());
    assert!(bytes > 0 && !begun.elapsed().is_zero());
}
