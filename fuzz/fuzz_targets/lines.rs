//! Any bytes, cut anywhere: the items cover them without gaps, and the cut changes nothing.
#![no_main]

use auditpost::internals::{ItemKind, LineSplitter, LogItem, SegmentBytes, SegmentId};
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
    let mut first = splitter(&data[..cut], base, false);
    let mut items: Vec<_> = first.by_ref().map(own).collect();
    let consumed = first.consumed();
    items.extend(read(&data[consumed..], base + consumed as u64, true));
    let lines = |items: &[(u64, u64, Vec<u8>)]| -> Vec<_> {
        items.iter().filter(|item| !item.2.is_empty()).cloned().collect()
    };
    assert_eq!(lines(&items), lines(&whole));
});

fn splitter(bytes: &[u8], start: u64, is_complete: bool) -> LineSplitter<'_> {
    LineSplitter::new(SegmentBytes { segment: SegmentId(1), start, bytes, is_complete })
}

fn read(data: &[u8], base: u64, complete: bool) -> Vec<(u64, u64, Vec<u8>)> {
    splitter(data, base, complete).map(own).collect()
}

fn own(LogItem { range, kind, .. }: LogItem<'_>) -> (u64, u64, Vec<u8>) {
    match kind {
        ItemKind::Line(bytes) => (range.start, range.end, bytes.to_vec()),
        ItemKind::Blank => (range.start, range.end, Vec::new()),
        kind => unreachable!("{kind:?}: these are plain lines"),
    }
}
