//! Any bytes as a compressed file, in each format: an end or an error, and as much of it as is asked for.
#![no_main]

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    sync::LazyLock,
};

use auditpost::internals::PackedReader;
use libfuzzer_sys::fuzz_target;

/// As much content as is read of one input.
const MOST: u64 = 16 << 20;

static PLACE: LazyLock<tempfile::NamedTempFile> = LazyLock::new(|| tempfile::NamedTempFile::new().expect("a place"));

fuzz_target!(|input: &[u8]| {
    let place = PLACE.path();
    let mut out = OpenOptions::new().write(true).truncate(true).open(place).expect("it is there");
    out.write_all(input).expect("there is room");
    let file = File::open(place).expect("it is there");
    let mut content = PackedReader::new(&file).take(MOST);
    let mut block = [0; 4096];
    while content.read(&mut block).is_ok_and(|got| got > 0) {}
    assert!(content.read(&mut block).is_ok_and(|got| got == 0) || content.limit() == 0, "an error is the end");
});
