//! A journal that was torn, damaged, or written by somebody else.

use std::fs;

use crate::{
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tail::{assert_each_batch_once, assert_exactly, tailing_with, without_repeats},
};

const LOG: &str = "logs/audit.ndjson";
const JOURNAL: &str = "state/forwarders/siem/journal";
const SMALL: &str = "batch: {maxEvents: 10, maxAge: 20ms}\nretry: {initial: 50ms, max: 100ms}";

/// A sidecar that delivered 0..50, and was killed: its journal has a line for every batch and settlement.
fn killed(receiver: &Receiver) -> Sidecar {
    let mut sidecar = tailing_with(LOG, "", receiver, SMALL);
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    receiver.wait_for_lines(50);
    sidecar.wait_for_metrics("all settled", |metrics| metrics.events("siem", "delivered") == 50);
    sidecar.kill();
    sidecar
}

/// As the checksummed lines are written.
fn line(json: &str) -> String {
    format!("{:08x} {json}\n", crc32(json.as_bytes()))
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

// C14, C7: cut at every length of its last line.
#[test]
fn a_torn_last_line_is_dropped() {
    let receiver = Receiver::start();
    let mut sidecar = killed(&receiver);
    let whole = fs::read(sidecar.path(JOURNAL)).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for cut in [last + 1, last + 9, (last + whole.len()) / 2, whole.len() - 1] {
        fs::write(sidecar.path(JOURNAL), &whole[..cut]).unwrap();
        sidecar.start_again();
        sidecar.wait_for_log("the journal's last line was torn");
        // Its settlement was lost: the batch comes again, as it was.
        receiver.wait_until("all", PATIENCE, |deliveries| without_repeats(deliveries).len() == 50);
        sidecar.kill();
    }
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..50);
}

// D5 for the journal, C15: in the middle. Duplicates under new ids are what it may cost.
#[test]
fn a_damaged_line_in_the_middle_is_quarantined_told_and_made_up_for() {
    for change in [0, 1, 2] {
        let receiver = Receiver::start();
        let mut sidecar = killed(&receiver);
        let text = sidecar.read(JOURNAL);
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let middle = lines.iter().position(|line| line.contains("\"batch\":3,")).unwrap();
        lines[middle] = match change {
            0 => lines[middle].replacen("\"batch\":3,", "\"batch\":4,", 1),
            1 => "not a line of ours at all".to_owned(),
            _ => line(r#"{"record":"intent","garbage":true}"#).trim_end().to_owned(),
        };
        fs::write(sidecar.path(JOURNAL), lines.join("\n") + "\n").unwrap();
        sidecar.start_again();
        sidecar.wait_for_log("1 lines of the journal were damaged on disk");
        sidecar.wait_for_alarm("file", "journal.quarantine");
        sidecar.write_lines(LOG, 50..60);
        receiver.wait_until("what came later", PATIENCE, |deliveries| {
            deliveries.iter().any(|delivery| delivery.accepted() && delivery.text().contains("evt-0000000059"))
        });
        assert_eq!(sidecar.stop(), 0);
        let mut arrived = crate::events::numbers(&without_repeats(&receiver.deliveries()));
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived, (0..60).collect::<Vec<_>>(), "nothing is skipped");
        let kept = sidecar.read("state/forwarders/siem/journal.quarantine");
        let json = if change == 2 { &lines[middle][9..] } else { &lines[middle] };
        assert_eq!(kept, format!("{json}\n"), "it is kept for a person to look at");
        // It is mended: the next start has nothing to say.
        let said = sidecar.stderr().len();
        sidecar.start_again();
        sidecar.wait_for_log("forwarding");
        assert_eq!(sidecar.stop(), 0);
        assert!(!sidecar.stderr()[said..].contains("damaged"), "{}", sidecar.stderr());
    }
}

// C8, C9, C11, C13, C14: a clear word, the right status, the file as it was, and nothing sent.
#[test]
fn a_journal_that_cannot_be_trusted_stops_the_start_and_is_left_alone() {
    let receiver = Receiver::start();
    let mut sidecar = killed(&receiver);
    let good = sidecar.read(JOURNAL);
    let header = good.lines().next().unwrap()[9..].to_owned();
    let newer = line(&header.replace("\"v\":2", "\"v\":3"));
    let other = line(&header.replace("\"siem\"", "\"other\""));
    let cases: [(&str, String, i32, &str); 7] = [
        ("empty", String::new(), 74, "is empty"),
        ("one byte", "x".to_owned(), 74, "has no readable header"),
        ("garbage", "\u{7f}ELF\0\0garbage\n".repeat(100), 74, "has no readable header"),
        ("a damaged header", good.replacen("\"v\":2", "\"v\":4", 1), 74, "has no readable header"),
        ("zeros", "\0".repeat(4096), 74, "has no readable header"),
        ("a newer version", newer, 78, "has format version 3 and this program understands 2"),
        ("another forwarder's", other, 78, "belongs to forwarder 'other', not to 'siem'"),
    ];
    sidecar.write_lines(LOG, 50..60);
    let sent = receiver.deliveries().len();
    for (what, text, status, said) in cases {
        fs::write(sidecar.path(JOURNAL), &text).unwrap();
        let before = sidecar.stderr().len();
        sidecar.start_again();
        assert_eq!(sidecar.wait(), status, "{what}: {}", sidecar.stderr());
        let told = sidecar.stderr()[before..].to_owned();
        assert!(told.contains(said) && told.contains("forwarders/siem/journal"), "{what}: {told}");
        assert!(told.contains("not started"), "{what} says what it means: {told}");
        assert!(sidecar.read(JOURNAL) == text, "{what} was left as it is");
    }
    assert_eq!(receiver.deliveries().len(), sent, "nothing was sent");
    fs::write(sidecar.path(JOURNAL), good).unwrap();
    sidecar.start_again();
    assert_each_batch_once(&mut sidecar, &receiver, 0..60);
}

// C9, C10: there is none: everything that the files still hold is sent, and no file is skipped.
#[test]
fn a_journal_that_is_missing_means_to_begin_anew() {
    let receiver = Receiver::start();
    let mut sidecar = killed(&receiver);
    fs::remove_file(sidecar.path(JOURNAL)).unwrap();
    receiver.clear();
    sidecar.start_again();
    assert_exactly(&mut sidecar, &receiver, 0..50);
}

// C17: many batches and few bytes: it is compacted, and knows all it knew.
#[test]
fn a_long_life_leaves_a_short_journal() {
    let receiver = Receiver::start();
    let forwarder = "batch: {maxEvents: 1, maxAge: 20ms}\nframing: single\ncompression: none";
    let forwarder = forwarder.replace("batch: {maxEvents: 1, maxAge: 20ms}\n", "");
    let mut sidecar = tailing_with(LOG, "", &receiver, &forwarder);
    sidecar.write_lines(LOG, 0..2000);
    sidecar.start_again();
    receiver.wait_for_lines(2000);
    assert_eq!(sidecar.stop(), 0);
    let grown = fs::metadata(sidecar.path(JOURNAL)).unwrap().len();
    // A start writes it anew, as short as it can be.
    sidecar.start_again();
    sidecar.write_lines(LOG, 2000..2001);
    assert_exactly(&mut sidecar, &receiver, 0..2001);
    let compacted = fs::metadata(sidecar.path(JOURNAL)).unwrap().len();
    assert!(compacted < grown, "{compacted} of {grown}");
    assert!(compacted < 4 << 20);
    let (_, cursors, _) = sidecar.command(&["cursors", "list"]);
    assert!(cursors.contains("2001 delivered"), "{cursors}");
}

#[test]
fn one_damaged_journal_hides_nothing_of_the_others() {
    let receiver = Receiver::start();
    let sidecar = killed(&receiver);
    let mut sidecar2 = {
        sidecar.write_config();
        sidecar.forwarder("second", &receiver.url(), SMALL)
    };
    receiver.always(Reply::status(200));
    sidecar2.start_again();
    receiver.wait_for_lines(100);
    assert_eq!(sidecar2.stop(), 0);
    fs::write(sidecar2.path(JOURNAL), "garbage").unwrap();
    let (status, stdout, stderr) = sidecar2.command(&["cursors", "list"]);
    assert_eq!(status, 74, "{stderr}");
    assert!(stdout.contains("second / app: 50 delivered") && stderr.contains("siem"), "{stdout}{stderr}");
}
