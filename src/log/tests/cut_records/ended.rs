//! Logs of containers that ended amid a line.

use super::*;

#[test]
fn the_last_line_of_a_container_that_ended_is_read_once_its_next_attempt_has_a_log() {
    for restarts in [false, true] {
        let mut t = Bench::new(|name| ["0.log", "1.log"].contains(&name));
        t.source.format = LineFormat::Cri(CriStream::Stdout);
        t.seal_at_once();
        t.append("0.log", &(out("F", "one") + &out("P", "last")));
        t.start().scan();
        t.scan();
        assert_eq!(t.records(), ["one"]);
        t.scan();
        assert_eq!(t.records(), [""; 0], "it may go on");
        if restarts {
            t.kill();
        }
        t.append("1.log", &out("F", "again"));
        if restarts {
            t.start();
        }
        t.scan();
        let mut records = t.records();
        t.scan();
        records.extend(t.records());
        records.sort();
        assert_eq!(records, ["again", "head of none: last"]);
        // The runtime goes on after all.
        t.scan();
        t.append("0.log", &(out("F", "more") + &out("P", "en") + &out("F", "d")));
        t.scan();
        assert_eq!(t.records(), ["rest of 1: more", "end"]);
        t.append("0.log", &out("F", "later"));
        t.scan();
        t.scan();
        assert_eq!(t.records(), ["later"]);
        assert_eq!(t.gap_bytes, 0);
    }
}

#[test]
fn a_container_that_ended_right_after_its_log_was_rotated_has_no_rest_to_wait_for() {
    for last in [String::new(), err("bye")] {
        let mut t = Bench::new(|name| ["0.log", "1.log"].contains(&name));
        t.source.format = LineFormat::Cri(CriStream::Stdout);
        t.seal_at_once();
        t.append("0.log", &(out("F", "one") + &out("P", "last")));
        t.start().scan();
        t.records();
        t.rotate(1);
        t.append("0.log", &last);
        t.scan();
        t.scan();
        assert_eq!(t.records(), [""; 0]);
        t.append("1.log", "");
        t.scan();
        let records = t.records();
        assert!(records[0].ends_with(": last"), "{records:?}");
    }
}
