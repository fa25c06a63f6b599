//! Making room by giving up.

use std::collections::BTreeSet;

use super::*;
use crate::log::FollowerRequest;

/// Segments of 80 bytes while there is room; gives the number of the newest.
fn fill(spool: &mut Spool) -> u64 {
    while spool.append(format!("{}\n", "x".repeat(39)).as_bytes(), false).is_ok() {}
    spool.log().segments().last().unwrap().id.0
}

/// What `siem` and `other` are to give up after both were asked to report, and then said that they are past these segments.
fn detached(spool: &Spool, past: [u64; 2], refused: bool) -> [Option<u64>; 2] {
    let board = &spool.log().release_gate;
    board.ask(&BTreeSet::new(), SegmentId(0));
    spool.ask_for_room(300, refused);
    let names = ["siem", "other"];
    for (name, last) in names.into_iter().zip(past) {
        let segments = spool.log().segments();
        let past = segments.iter().filter(|segment| segment.id.0 <= last).map(|segment| (segment.id, segment.size()));
        board.report(name, past.collect());
    }
    spool.ask_for_room(300, refused);
    names.map(|name| match board.request(name)? {
        FollowerRequest::Detach(last) => Some(last.0),
        FollowerRequest::Report => None,
    })
}

#[test]
fn whoever_holds_a_spool_that_needs_room_is_to_give_it_up_and_only_while_it_does() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    let board = spool.log().release_gate.clone();
    board.add_follower("other");
    for _ in 0..22 {
        put(&mut spool, &["x".repeat(39).as_str()]);
    }
    assert_eq!(detached(&spool, [0, 0], false), [None, None], "880 of 1000 bytes leave room for a segment and more");
    let newest = fill(&mut spool);
    assert_eq!((newest, spool.used()), (13, 1000));
    assert_eq!(detached(&spool, [0, 0], false), [Some(9), Some(9)]);
    // Both were known to hold all of it; one of them had only not said yet that it does not.
    assert_eq!(detached(&spool, [0, 6], false), [Some(6), None], "the others are the other's too");
    assert_eq!(detached(&spool, [4, 6], false), [Some(6), None]);
    assert_eq!(spool.held_by(), "forwarder siem");
    spool.release();
    assert_eq!(spool.used(), 680, "to be asked is not to have given up");
    board.detached("siem", SegmentId(6));
    assert!(spool.release());
    assert_eq!((spool.used(), spool.held_by()), (520, "forwarders other, siem".to_owned()));
    assert_eq!(detached(&spool, [6, 6], false), [None, None], "there is room");
    assert_eq!(detached(&spool, [6, 6], true), [Some(9), Some(9)], "not for a record that was refused");
}

#[test]
fn a_reader_that_passes_over_segments_goes_on_behind_them_and_says_what_it_left_out() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    for n in 0..8 {
        put(&mut spool, &[&format!("{n}{}", "x".repeat(38))]);
    }
    let mut reader = Reader::new(spool.log().clone(), 1000, BTreeMap::new());
    reader.read(usize::MAX, &mut |_| Take::Last);
    let passed: Vec<(u64, u64, u64)> =
        reader.pass_over(SegmentId(2)).iter().map(|range| (range.segment.0, range.start, range.end)).collect();
    assert_eq!(passed, [(1, 40, 80), (2, 0, 80)]);
    assert_eq!(reader.pass_over(SegmentId(2)), []);
    let rest: Vec<String> = read_from(&mut reader).iter().map(|line| line[..1].to_owned()).collect();
    assert_eq!(rest, ["4", "5", "6", "7"]);
}
