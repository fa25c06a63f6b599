//! The input: audit events of about 600 bytes, shaped like the samples, no two the same.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

const SAMPLES: [&str; 4] = [
    include_str!("../../tests/samples/connect.ndjson"),
    include_str!("../../tests/samples/infrakitchen.ndjson"),
    include_str!("../../tests/samples/konnect.ndjson"),
    include_str!("../../tests/samples/chainloop.ndjson"),
];

pub fn megabytes() -> u64 {
    std::env::var("AUDITPOST_BENCH_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(256)
}

/// Writes the file where it is not there yet.
pub fn file(dir: &Path) -> PathBuf {
    let path = dir.join("input.ndjson");
    if path.exists() {
        return path;
    }
    let samples: Vec<&str> = SAMPLES.iter().flat_map(|text| text.lines()).collect();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&path).unwrap());
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut written, mut lines) = (0, 0_u64);
    while written < megabytes() * 1_000_000 {
        let line = vary(samples[rng.usize(..samples.len())], &mut rng);
        out.write_all(line.as_bytes()).unwrap();
        out.write_all(b"\n").unwrap();
        written += line.len() as u64 + 1;
        lines += 1;
    }
    out.flush().unwrap();
    println!("input: {written} bytes, {lines} events of {} bytes on average", written / lines);
    path
}

/// Other ids and times, the same shape: digits and the hexadecimal digits behind them change at random places.
fn vary(sample: &str, rng: &mut fastrand::Rng) -> String {
    let mut in_number = 0;
    sample
        .chars()
        .map(|c| {
            in_number = if c.is_ascii_hexdigit() { in_number + 1 } else { 0 };
            if c.is_ascii_digit() && in_number >= 3 { char::from(b'0' + rng.u8(0..10)) } else { c }
        })
        .collect()
}
