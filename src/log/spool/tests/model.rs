//! A spool under random steps, restart and crash among them.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    /// Kill and start; so many bytes of a half-written line are found at the end.
    Crash(u8),
    Close,
    Settle,
    Release,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => any::<u8>().prop_map(Step::Append),
        1 => any::<u8>().prop_map(Step::Crash),
        1 => Just(Step::Close),
        2 => Just(Step::Settle),
        2 => Just(Step::Release),
    ];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_accepted_line_is_read_once_and_in_order(steps in steps()) {
        let fixture = Fixture::new();
        let mut spool = fixture.open();
        let (mut accepted, mut seen) = (Vec::new(), Vec::new());
        let mut cursors = BTreeMap::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Append(length) => {
                    number += 1;
                    let line = format!("{{\"n\":{number},\"pad\":\"{}\"}}", "z".repeat(length.into()));
                    match spool.append(format!("{line}\n").as_bytes(), number % 2 == 0) {
                        Ok(()) => accepted.push(line),
                        Err(SpoolAppendError::Full { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                Step::Crash(torn) => {
                    let last = spool.current.as_ref().map(|current| fixture.path(current.id.0));
                    drop(spool);
                    if let Some(last) = last {
                        let mut file = fs::OpenOptions::new().append(true).open(last).unwrap();
                        file.write_all(&b"{\"torn\":\"".repeat(torn.into())).unwrap();
                    }
                    spool = fixture.open();
                }
                Step::Close => {
                    spool.close().unwrap();
                    spool = fixture.open();
                }
                Step::Settle => {
                    let mut reader = Reader::new(spool.log().clone(), 10_000, cursors.clone());
                    seen.extend(read_from(&mut reader));
                    let ids: Vec<SegmentId> = spool.log().segments().iter().map(|segment| segment.id).collect();
                    cursors = ids.into_iter().filter_map(|id| Some((id, reader.cursor(id)?))).collect();
                    let offsets = cursors.iter().map(|(id, cursor)| (*id, cursor.offset)).collect();
                    spool.log().release_gate.report("siem", offsets);
                }
                Step::Release => {
                    spool.release();
                }
            }
        }
        seen.extend(read_from(&mut Reader::new(spool.log().clone(), 10_000, cursors)));
        prop_assert_eq!(seen, accepted);
    }
}
