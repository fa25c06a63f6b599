//! Any bytes, cut anywhere: the pieces cover them without gaps, and the cut changes nothing.
#![no_main]

use auditpost::log::lines::{Lines, Piece};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, usize, u8)| {
    let (data, cut, base) = input;
    let base = u64::from(base);
    let whole = read(&data, base, true);
    let mut at = base;
    for (start, end, _) in &whole {
        assert!(*start == at && end > start);
        at = *end;
    }
    assert_eq!(at, base + data.len() as u64);

    let cut = cut % (data.len() + 1);
    let mut first = Lines::new(&data[..cut], base, false);
    let mut pieces: Vec<_> = first.by_ref().map(own).collect();
    let consumed = first.consumed();
    pieces.extend(read(&data[consumed..], base + consumed as u64, true));
    let lines = |pieces: &[(u64, u64, Vec<u8>)]| -> Vec<_> {
        pieces.iter().filter(|piece| !piece.2.is_empty()).cloned().collect()
    };
    assert_eq!(lines(&pieces), lines(&whole));
});

fn read(data: &[u8], base: u64, complete: bool) -> Vec<(u64, u64, Vec<u8>)> {
    Lines::new(data, base, complete).map(own).collect()
}

fn own(piece: Piece<'_>) -> (u64, u64, Vec<u8>) {
    match piece {
        Piece::Line { start, end, bytes } => (start, end, bytes.to_vec()),
        Piece::Blank { start, end } => (start, end, Vec::new()),
        Piece::Foreign { .. } | Piece::Other { .. } => unreachable!("these are plain lines"),
    }
}
