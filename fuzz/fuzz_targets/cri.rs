//! Any bytes as a container's log: the pieces cover them without gaps, and where they are cut changes no record.
#![no_main]

use auditpost::{
    config::CriStream,
    log::{cri::Records, lines::Piece},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (data, cut) = input;
    let (whole, end) = read(&data, 0, true);
    assert_eq!(end, data.len());

    let cut = cut % (data.len() + 1);
    let (mut pieces, consumed) = read(&data[..cut], 0, false);
    let (rest, _) = read(&data[consumed..], consumed, true);
    pieces.extend(rest);
    // A hole of NUL may be cut in two.
    let records = |pieces: Vec<Read>| pieces.into_iter().filter(|piece| piece.kind != "blank").collect::<Vec<_>>();
    assert_eq!(records(pieces), records(whole));
});

#[derive(Debug, PartialEq)]
struct Read {
    kind: &'static str,
    start: u64,
    end: u64,
    bytes: Vec<u8>,
}

fn read(data: &[u8], base: usize, complete: bool) -> (Vec<Read>, usize) {
    let mut joined = Vec::new();
    let mut records = Records::new(data, base as u64, CriStream::Stdout, complete, &mut joined);
    let mut pieces = Vec::new();
    let mut at = base as u64;
    while let Some(piece) = records.next_piece() {
        let read = match piece {
            Piece::Line { start, end, bytes } => Read { kind: "record", start, end, bytes: bytes.to_vec() },
            Piece::Foreign { start, end, bytes } => Read { kind: "foreign", start, end, bytes: bytes.to_vec() },
            Piece::Other { start, end } => Read { kind: "other", start, end, bytes: Vec::new() },
            Piece::Blank { start, end } => Read { kind: "blank", start, end, bytes: Vec::new() },
        };
        assert!(read.start == at && read.end > at);
        at = read.end;
        pieces.push(read);
    }
    let consumed = records.consumed();
    assert_eq!(at, (base + consumed) as u64);
    (pieces, base + consumed)
}
