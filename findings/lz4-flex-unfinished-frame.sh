#!/usr/bin/env bash
# lz4_flex 0.14.2, the Rust crate: a frame that was never finished reads as a whole one.
#
# A writer puts 4000 events into a frame of 64 KiB blocks with a content checksum and flushes; it is gone before it
# writes the other 6000 and finishes. Seen:
#
#     lz4 -t                     "Unfinished stream", exit status 68
#     lz4_flex FrameDecoder      read_to_end: Ok, 4000 events
#
# The end of the input where a block may begin is taken for the end of the frame: neither the end mark, which the format
# asks for, nor the checksum of the content is missed. A cut within a block is an error.
#
# Why it matters: with gzip, zstd and xz "read to the end without an error" means that the file is complete, and a
# shipper removes or passes over a generation because of it. Here it does not tell a finished log from one whose writer
# was killed, or that is still being written.
set -euo pipefail
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
{ apt-get download -q -o APT::Sandbox::User=root lz4=1.9.4-1 >/dev/null && dpkg-deb -x lz4_*.deb root; } ||
    { echo "lz4 cannot be installed (Debian 12)"; exit 2; }

mkdir -p frame/src
cat >frame/Cargo.toml <<'TOML'
[package]
name = "frame"
version = "0.0.0"
edition = "2021"

[dependencies]
lz4_flex = "=0.14.2"
TOML
cat >frame/src/main.rs <<'RUST'
use lz4_flex::frame::{BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use std::{
    fs,
    io::{Read, Write},
};

fn main() {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).content_checksum(true);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    for n in 0..4000 {
        writeln!(encoder, "{{\"n\":{n}}}").unwrap();
    }
    encoder.flush().unwrap();
    let unfinished = encoder.get_ref().clone();
    fs::write("unfinished.lz4", &unfinished).unwrap();
    let decode = |bytes: &[u8]| {
        let mut text = Vec::new();
        let result = FrameDecoder::new(bytes).read_to_end(&mut text);
        format!("{}, {} events", if result.is_ok() { "Ok" } else { "Err" }, text.iter().filter(|b| **b == b'\n').count())
    };
    println!("unfinished: {}", decode(&unfinished));
    println!("cut within a block: {}", decode(&unfinished[..unfinished.len() - 1]));
    for n in 4000..10000 {
        writeln!(encoder, "{{\"n\":{n}}}").unwrap();
    }
    println!("finished: {}", decode(&encoder.finish().unwrap()));
}
RUST
cargo build -q --manifest-path frame/Cargo.toml --target-dir target || { echo "lz4_flex cannot be built"; exit 2; }

target/debug/frame >seen
status=0
root/usr/bin/lz4 -t unfinished.lz4 2>said || status=$?
cat seen
echo "lz4 -t: exit status $status, $(tail -n 1 said)"
grep -qx 'unfinished: Ok, 4000 events' seen && grep -q '^cut within a block: Err' seen && grep -qx 'finished: Ok, 10000 events' seen &&
    [ "$status" != 0 ] || { echo "the behaviour has changed"; exit 1; }
