//! What each step between a line and a compressed body costs: `cargo bench --bench hot`.
//!
//! The sample events of four systems are repeated to a body of lines; each step goes over all of them several
//! times. The figures are CPU time of this thread, best round, so that other work on the machine counts little.
//! Started without `--bench`, as `cargo test --all-targets` does, it runs over little data once.

#![allow(clippy::print_stdout, reason = "a table is what this is for")]

use std::hint::black_box;

use auditpost::internals::{
    BatchBody, BodyLimits, Checker, Compression, CompressionLevel, Compressor, Digest, EventEncoder, EventFilter,
    EventTypes, FilterRules as Types, FilterVerdict, Format, Framing, LEVELS, Needs, Schema, SegmentId, SegmentRange,
};

const SAMPLES: [&str; 4] = [
    include_str!("../tests/samples/connect.ndjson"),
    include_str!("../tests/samples/infrakitchen.ndjson"),
    include_str!("../tests/samples/konnect.ndjson"),
    include_str!("../tests/samples/chainloop.ndjson"),
];

fn main() {
    let full = std::env::args().any(|argument| argument == "--bench");
    let (bytes, rounds) = if full { (50_000_000, 5) } else { (100_000, 1) };
    let data = lines(bytes);
    let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    println!("{} MB in {} lines, best of {rounds} by thread CPU time\n", data.len() / 1_000_000, lines.len());
    println!("{:<34}{:>9}{:>12}{:>9}", "step", "MB/s", "CPU s/GB", "ratio");

    let report = |step: &str, seconds: f64, ratio: Option<f64>| {
        let speed = data.len() as f64 / 1e6 / seconds;
        let ratio = ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"));
        println!("{step:<34}{speed:>9.0}{:>12.2}{ratio:>9}", 1000.0 / speed);
    };

    for (step, needs) in
        [("validate", Needs::Validity), ("validate, type", Needs::Type), ("validate, all members", Needs::Members)]
    {
        let mut checker = Checker::new(Schema::Auto, needs);
        report(step, best(rounds, || lines.iter().filter(|line| checker.check(line).is_ok()).count()), None);
    }
    let disabled = EventTypes::These(["node_attestation", "login", "list"].map(str::to_owned).into());
    let filter = EventFilter::new(&Types { disabled, ..Types::default() });
    report("validate, type, filter", best(rounds, || filtered(&lines, Schema::Auto, &filter)), None);
    let of_connect: Vec<&[u8]> = lines.iter().copied().filter(|line| line.starts_with(b"{\"id\":\"ae-")).collect();
    let share = of_connect.iter().map(|line| line.len()).sum::<usize>() as f64 / data.len() as f64;
    for (step, schema) in [("the same, connect alone, auto", Schema::Auto), ("the same, connect", Schema::Connect)] {
        // As if there were as much of it as of all.
        report(step, best(rounds, || filtered(&of_connect, schema, &filter)) / share, None);
    }
    let denied = EventFilter::new(&Types { outcomes: vec!["denied".to_owned()], ..Types::default() });
    report("validate, outcome, filter", best(rounds, || filtered(&lines, Schema::Auto, &denied)), None);
    let actor = EventFilter::new(&Types { actors: vec!["auth0|eve".to_owned()], ..Types::default() });
    report("validate, actor, filter", best(rounds, || filtered(&lines, Schema::Auto, &actor)), None);
    report("the same, encode json, batch", best(rounds, || encoded(&lines, &filter, Format::Json)), None);
    report("the same, encode cef, batch", best(rounds, || encoded(&lines, &filter, Format::Cef)), None);
    let all = SAMPLES.concat();
    for (system, sample) in ["connect", "infrakitchen", "konnect", "chainloop", "mixed"]
        .into_iter()
        .zip(SAMPLES.into_iter().chain([&*all]))
    {
        // As they are: ids that are made to differ would break what is encoded within others.
        let lines: Vec<&[u8]> = sample.lines().map(str::as_bytes).cycle().take(lines.len() / 4).collect();
        let share = lines.iter().map(|line| line.len()).sum::<usize>() as f64 / data.len() as f64;
        report(&format!("check, encode cef, {system}"), best(rounds, || cef(&lines)) / share, None);
    }
    report("digest", best(rounds, || Digest::of(&data).crc32 as usize), None);

    let named =
        [("fast", CompressionLevel::Fast), ("default", CompressionLevel::Default), ("best", CompressionLevel::Best)];
    let numbers =
        LEVELS.filter(|&number| number <= 9).map(|number| (number.to_string(), CompressionLevel::Number(number)));
    let levels = named.map(|(name, level)| (name.to_owned(), level)).into_iter().chain(numbers);
    for (name, level) in levels {
        let mut compressor = Compressor::new(Compression::Gzip(level));
        let mut wire = 0;
        let seconds = best(rounds.min(3), || {
            wire = data.chunks(1_000_000).map(|body| compressor.compress(body).map_or(0, |wire| wire.len())).sum();
            wire
        });
        report(&format!("gzip {name}, bodies of 1 MB"), seconds, Some(data.len() as f64 / wire as f64));
    }
}

/// The samples as lines, repeated, with what differs from event to event in life (ids, times) made to differ.
fn lines(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let samples: Vec<&str> = SAMPLES.iter().flat_map(|sample| sample.lines()).collect();
    let mut data = Vec::with_capacity(bytes + 2000);
    while data.len() < bytes {
        let sample = samples[random.usize(..samples.len())];
        let start = data.len();
        data.extend_from_slice(sample.as_bytes());
        vary(&mut data[start..], &mut random);
        data.push(b'\n');
    }
    data
}

/// Gives the digits and letters of every id, time, address and signature new values: those of runs with a digit.
fn vary(line: &mut [u8], random: &mut fastrand::Rng) {
    let mut start = 0;
    for end in 0..=line.len() {
        if line.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            continue;
        }
        let run = &mut line[start..end];
        if run.len() > 1 && run.iter().any(u8::is_ascii_digit) {
            for byte in run.iter_mut().rev().take(12) {
                match byte {
                    b'1'..=b'9' => *byte = random.u8(b'1'..=b'9'),
                    b'a'..=b'f' => *byte = random.u8(b'a'..=b'f'),
                    b'g'..=b'z' => *byte = random.u8(b'g'..=b'z'),
                    _ => {}
                }
            }
        }
        start = end + 1;
    }
}

fn filtered(lines: &[&[u8]], schema: Schema, filter: &EventFilter) -> usize {
    let mut filter = filter.clone();
    let mut checker = Checker::new(schema, filter.needs());
    let passes = |line: &&&[u8]| checker.check(line).is_ok_and(|event| filter.verdict(&event) == FilterVerdict::Pass);
    lines.iter().filter(passes).count()
}

fn encoded(lines: &[&[u8]], filter: &EventFilter, format: Format) -> usize {
    let mut encoder = EventEncoder::new(format, "portal");
    let mut filter = filter.clone();
    let mut checker = Checker::new(Schema::Auto, encoder.needs().max(filter.needs()));
    let mut body = BatchBody::new(Framing::Lines);
    let fit = BodyLimits { max_events: 1000, max_bytes: 1_000_000 };
    let mut sent = 0;
    for line in lines {
        let Ok(event) = checker.check(line) else {
            continue;
        };
        if filter.verdict(&event) != FilterVerdict::Pass {
            continue;
        }
        if body.is_full(&fit) {
            sent += black_box(body.finish()).len();
            body.clear();
        }
        let range = SegmentRange { segment: SegmentId(1), start: 0, end: 1 };
        if let Some(out) = body.begin_event(&fit) {
            encoder.encode(&event, out);
        }
        let _ = body.end_event(&fit, range, false);
    }
    sent + body.finish().len()
}

/// Bytes of CEF, of lines one after the other.
fn cef(lines: &[&[u8]]) -> usize {
    let mut encoder = EventEncoder::new(Format::Cef, "portal");
    let mut checker = Checker::new(Schema::Auto, encoder.needs());
    let mut out = Vec::new();
    let mut bytes = 0;
    for line in lines {
        if let Ok(event) = checker.check(line) {
            out.clear();
            encoder.encode(&event, &mut out);
            bytes += black_box(&out).len();
        }
    }
    bytes
}

/// Seconds of CPU of the quickest round.
fn best(rounds: usize, mut work: impl FnMut() -> usize) -> f64 {
    let round = |_| {
        let start = cpu_seconds();
        black_box(work());
        cpu_seconds() - start
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

fn cpu_seconds() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
