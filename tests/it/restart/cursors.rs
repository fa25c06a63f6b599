//! `auditpost cursors` against what really runs.

use crate::{
    events,
    receiver::Receiver,
    tail::{assert_exactly, tailing},
};

const LOG: &str = "logs/audit.ndjson";

#[test]
fn an_operator_can_send_again_skip_and_start_over() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    let set = |to: &str| {
        ["cursors", "set", "--forwarder", "siem", "--source", "app", "--segment", "1", to].map(str::to_owned)
    };

    // Beside a running one: list works, set says who is in the way.
    let (status, listed, _) = sidecar.command(&["cursors", "list"]);
    assert_eq!(status, 0);
    assert!(listed.contains("segment 1 ") && listed.contains("audit.ndjson"), "{listed}");
    let words = set("--beginning");
    let mut words: Vec<&str> = words.iter().map(String::as_str).chain(["--yes"]).collect();
    let (status, _, stderr) = sidecar.command(&words);
    assert_eq!(status, 75, "{stderr}");
    assert!(stderr.contains(&format!("process {}", sidecar.pid())), "{stderr}");
    assert_eq!(sidecar.stop(), 0);

    // Without --yes it only says what it means.
    let (status, stdout, _) = sidecar.command(&words[..words.len() - 1]);
    assert_eq!(status, 64);
    assert!(stdout.contains("delivered again"), "{stdout}");
    sidecar.restart_and_expect(&receiver, 10);

    // Back: again, from there.
    let offset = events::lines(0..7).len().to_string();
    words.splice(words.len() - 2.., ["--offset", &offset, "--yes"]);
    assert_eq!(sidecar.command(&words).0, 0);
    sidecar.restart_and_expect(&receiver, 13);

    // Forward: what lies between is skipped.
    sidecar.write_lines(LOG, 10..20);
    let end = set("--end");
    let words: Vec<&str> = end.iter().map(String::as_str).chain(["--yes"]).collect();
    let (status, stdout, _) = sidecar.command(&words);
    assert_eq!(status, 0);
    assert!(stdout.contains("never delivered"), "{stdout}");
    sidecar.write_lines(LOG, 20..22);
    sidecar.restart_and_expect(&receiver, 15);

    // Forgotten: all of it again, under new ids.
    let words = ["cursors", "forget", "--forwarder", "siem", "--yes"];
    assert_eq!(sidecar.command(&words).0, 0);
    sidecar.start_again();
    let expected = (0..10).chain(7..10).chain(20..22).chain(0..22);
    assert_exactly(&mut sidecar, &receiver, expected);
    let ids = receiver.ids();
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len(), "every batch has its own id");
}

#[test]
fn a_cursor_is_put_where_a_line_begins_or_nowhere() {
    let receiver = Receiver::start();
    let mut sidecar = tailing(LOG, &receiver);
    sidecar.write_lines(LOG, 0..3);
    sidecar.start_again();
    receiver.wait_for_lines(3);
    assert_eq!(sidecar.stop(), 0);
    let at = |offset: &str, segment: &str| {
        sidecar.command(&[
            "cursors",
            "set",
            "--forwarder",
            "siem",
            "--source",
            "app",
            "--segment",
            segment,
            "--offset",
            offset,
            "--yes",
        ])
    };
    for (offset, segment) in [("5", "1"), ("99999999", "1"), ("0", "7")] {
        let (status, _, stderr) = at(offset, segment);
        assert_eq!(status, 64, "{offset} in {segment}: {stderr}");
    }
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..3);
}
