//! Any stream, cut anywhere: the same records, and no more is held than one may have.
#![no_main]

use auditpost::internals::{FramedItem, Framer};
use libfuzzer_sys::fuzz_target;

const MOST: usize = 40;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (data, cuts) = input;
    let mut pieces = Vec::new();
    let mut rest = data.as_slice();
    for cut in cuts {
        let (piece, behind) = rest.split_at(usize::from(cut).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    assert_eq!(read(&pieces), read(&[&data]));
});

/// The records, a longer one as its length and digest, and whether the stream ended within one.
fn read(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
    let mut framer = Framer::new(MOST);
    let mut records = Vec::new();
    let mut take = |frame: FramedItem<'_>| match frame {
        FramedItem::Record(record) => {
            assert!(record.len() <= MOST && !record.contains(&b'\n'));
            records.push(record.to_vec());
        }
        FramedItem::TooLong(digest) => records.push([&digest.bytes.to_be_bytes()[..], &digest.digits()].concat()),
    };
    for piece in pieces {
        framer.feed(piece, &mut take);
        assert!(framer.held() <= MOST + 1);
    }
    let cut = framer.finish(&mut take);
    (records, cut)
}
