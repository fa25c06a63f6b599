//! Any bytes as a container's log: the items cover them without gaps, and where they are cut changes no record.
#![no_main]

use auditpost::internals::{CriStream, ItemKind, Records, SegmentBytes, SegmentId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (data, cut) = input;
    let (whole, end) = read(&data, 0, true);
    assert_eq!(end, data.len());

    let cut = cut % (data.len() + 1);
    let (mut items, consumed) = read(&data[..cut], 0, false);
    let (rest, _) = read(&data[consumed..], consumed, true);
    items.extend(rest);
    // A hole of NUL may be cut in two.
    let records = |items: Vec<Read>| items.into_iter().filter(|item| item.kind != "blank").collect::<Vec<_>>();
    assert_eq!(records(items), records(whole));
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
    let of = SegmentBytes { segment: SegmentId(1), start: base as u64, bytes: data, is_complete: complete };
    let mut records = Records::new(of, CriStream::Stdout, &mut joined);
    let mut items = Vec::new();
    let mut at = base as u64;
    while let Some(item) = records.next_item() {
        let (kind, bytes) = match item.kind {
            ItemKind::Line(bytes) => ("record", bytes),
            ItemKind::Foreign(bytes) => ("foreign", bytes),
            ItemKind::Other(_) => ("other", &[][..]),
            ItemKind::Blank => ("blank", &[][..]),
            kind => unreachable!("{kind:?}: neither is told by the records themselves"),
        };
        let read = Read { kind, start: item.range.start, end: item.range.end, bytes: bytes.to_vec() };
        assert!(read.start == at && read.end > at);
        at = read.end;
        items.push(read);
    }
    let consumed = records.consumed();
    assert_eq!(at, (base + consumed) as u64);
    (items, base + consumed)
}
