//! Containers' logs that rotations, stops and kills cut anywhere between two lines.

use proptest::prelude::*;

use super::*;

/// Lines of both streams: records in parts, and now and then a line in no format.
fn lines_of_a_container() -> impl Strategy<Value = Vec<String>> {
    let tag = prop_oneof![3 => Just("P"), 2 => Just("F")];
    let line = prop_oneof![
        8 => (tag.clone(), "[a-z]{0,5}").prop_map(|(tag, message)| out(tag, &message)),
        3 => (tag, "[a-z]{0,5}").prop_map(|(tag, message)| part("stderr", tag, &message)),
        1 => Just("no such line 123456789\n".to_owned()),
        1 => Just("\n".to_owned()),
    ];
    proptest::collection::vec(line, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn wherever_rotations_cut_the_records_are_those_of_the_uncut_file(
        lines in lines_of_a_container(),
        // After each line: nothing, a look, a rotation, a rotation and a look, a stop, a kill.
        events in proptest::collection::vec(0u8..8, 30),
        most in 1usize..5,
    ) {
        // What repeats another file's beginning waits, for it may be a copy: no two lines are alike.
        let timed = |(n, line): (usize, String)| match &*line {
            "\n" => " ".repeat(n) + "\n",
            line => line.replacen("123456789", &format!("{n:09}"), 1),
        };
        let lines: Vec<String> = lines.into_iter().chain([out("F", "end")]).enumerate().map(timed).collect();
        let mut whole = container();
        whole.append(LOG, &lines.concat());
        whole.start().scan();
        let expected = whole.records();

        let mut cut = container();
        cut.append(LOG, "");
        cut.start().scan();
        let mut records = Vec::new();
        let mut rotations = 0;
        for (line, event) in lines.iter().zip(events.iter().chain([&0u8])) {
            cut.append(LOG, line);
            if matches!(event, 2..=5) {
                rotations += 1;
                cut.rotate(rotations);
            }
            match event {
                4 => cut.stop(),
                5 => cut.kill(),
                _ => {}
            }
            if cut.tail.is_none() {
                cut.start();
            }
            if !matches!(event, 0 | 2) {
                cut.scan();
                records.extend(cut.batches(most).into_iter().flat_map(|batch| batch.items));
            }
        }
        cut.scan();
        records.extend(cut.batches(most).into_iter().flat_map(|batch| batch.items));
        prop_assert_eq!(records, expected);
    }
}
