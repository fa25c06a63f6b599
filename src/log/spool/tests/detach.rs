//! Making room by giving up.

use super::*;

/// Segments of 80 bytes while there is room; gives the number of the newest.
fn fill(spool: &mut Spool) -> u64 {
    while spool.append(format!("{}\n", "x".repeat(39)).as_bytes(), false).is_ok() {}
    spool.log().segments().last().unwrap().id.0
}

#[test]
fn whoever_holds_a_spool_that_needs_room_is_asked_to_give_it_up_and_only_while_it_does() {
    let fixture = Fixture::new();
    let mut spool = fixture.open();
    let board = spool.log().board.clone();
    board.enlist("other");
    for _ in 0..22 {
        put(&mut spool, &["x".repeat(39).as_str()]);
    }
    spool.ask_for_room(300, false);
    assert_eq!(board.asked("siem"), None, "880 of 1000 bytes leave room for a segment and more");
    let newest = fill(&mut spool);
    assert_eq!((newest, spool.used()), (13, 1000));
    spool.ask_for_room(300, false);
    assert_eq!((board.asked("siem"), board.asked("other")), (Some(SegmentId(9)), Some(SegmentId(9))));
    let past =
        |last: u64| spool.log().segments().iter().map(|it| (it.id, it.size())).filter(|it| it.0.0 <= last).collect();
    board.report("other", past(6));
    spool.ask_for_room(300, false);
    assert_eq!(
        (board.asked("siem"), board.asked("other")),
        (Some(SegmentId(6)), None),
        "the others are the other's too"
    );
    assert_eq!(spool.held_by(), "forwarder siem");
    assert!(!spool.release(), "to be asked is not to have given up");
    board.gave_up("siem", SegmentId(6));
    assert!(spool.release());
    assert_eq!((spool.used(), spool.held_by()), (520, "forwarders other, siem".to_owned()));
    spool.ask_for_room(300, false);
    assert_eq!(board.asked("siem"), None, "there is room");
    spool.ask_for_room(300, true);
    assert_eq!(board.asked("siem"), Some(SegmentId(9)), "not for a record that was refused");
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
