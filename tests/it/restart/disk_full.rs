//! No room in the state directory.

use std::{fs, io::Write, path::Path, time::Duration};

use crate::{
    receiver::{PATIENCE, Receiver, Reply},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, assert_exactly, tailing},
    tools::can_mount,
};

const LOG: &str = "logs/audit.ndjson";

/// Runs it in a mount name space of its own, with a small file system at `at` below the state directory.
pub(super) fn on_a_small_disk(sidecar: Sidecar, at: &str, options: &str) -> Sidecar {
    let script = format!(
        "umask 077; mkdir -p {{dir}}/{at} && mount -t tmpfs -o {options},mode=0700 tmpfs {{dir}}/{at} && exec \"$@\""
    );
    sidecar.through(&["unshare", "-m", "sh", "-c", &script, "sh"])
}

/// Writes until nothing more fits.
pub(super) fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    let mut block = vec![0; 4096];
    while !block.is_empty() {
        if file.write_all(&block).is_err() {
            block.truncate(block.len() / 2);
        }
    }
}

// C16, C17, C19, L11
#[test]
fn a_full_state_directory_stops_no_delivery_raises_an_alarm_and_recovers() {
    if !can_mount("a_full_state_directory_stops_no_delivery_raises_an_alarm_and_recovers") {
        return;
    }
    let receiver = Receiver::start();
    let mut sidecar = on_a_small_disk(tailing("logs/*.ndjson", &receiver), "state", "size=512k");
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    receiver.wait_for_lines(10);
    sidecar.wait_for_readyz(200);
    fill(&sidecar.inside("state/filler"));
    let mut n = 10;
    for _ in 0..20 {
        sidecar.write_lines(LOG, n..n + 10);
        n += 10;
        receiver.wait_for_lines(n as usize);
    }
    sidecar.wait_for_alarm("state", "the journal cannot be written");
    let why = sidecar.wait_for_readyz(503);
    assert!(why.contains("No space left on device"), "{why}");
    assert_eq!(sidecar.get("/livez").0, 200, "a restart would not help");
    // A new file waits until its number can be written down; the known one goes on.
    sidecar.write_lines("logs/new.ndjson", 1000..1005);
    sidecar.wait_for_alarm("state", "the catalog cannot be written");
    sidecar.write_lines(LOG, n..n + 1);
    receiver.wait_for_lines(n as usize + 1);

    fs::remove_file(sidecar.inside("state/filler")).unwrap();
    receiver.wait_for_lines(n as usize + 6);
    sidecar.wait_for_readyz(200);
    assert_eq!(sidecar.status()["alarms"].as_array().unwrap().len(), 0, "{}", sidecar.status());
    let journal = fs::read_to_string(sidecar.inside("state/forwarders/siem/journal")).unwrap();
    assert!(journal.contains("\"delivered\":"), "it was written anew, with what it missed: {journal}");
    assert_exactly(&mut sidecar, &receiver, (0..=n).chain(1000..1005));
    let said = sidecar.stderr();
    assert_eq!(said.matches("ERROR the journal cannot be written").count(), 1, "once, not every second: {said}");
}

// C23: no inodes is a word of its own.
#[test]
fn a_state_directory_without_free_inodes_is_told_as_such() {
    if !can_mount("a_state_directory_without_free_inodes_is_told_as_such") {
        return;
    }
    let receiver = Receiver::start();
    let mut sidecar = on_a_small_disk(tailing("logs/*.ndjson", &receiver), "state", "nr_inodes=6");
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    let status = sidecar.wait();
    assert!(status == 73 || status == 74, "{status}: {}", sidecar.stderr());
    let said = sidecar.stderr();
    assert!(said.contains("no free inodes") || said.contains("No space left on device"), "{said}");
}

// I4, I19: the forwarder with the dead letter waits and says so; the other goes on; nothing is passed over.
#[test]
fn no_room_for_dead_letters_holds_that_forwarder_and_no_other() {
    if !can_mount("no_room_for_dead_letters_holds_that_forwarder_and_no_other") {
        return;
    }
    let (first, second) = (Receiver::start(), Receiver::start());
    let sidecar = tailing(LOG, &first).forwarder("second", &second.url(), QUICK_FORWARDER);
    let mut sidecar = on_a_small_disk(sidecar, "state/dead-letters/siem", "size=16k");
    // The directory above it must be ours alone too.
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    first.wait_for_lines(10);
    second.wait_for_lines(10);
    fill(&sidecar.inside("state/dead-letters/siem/filler"));
    sidecar.append(LOG, "this is not json\n");
    sidecar.write_lines(LOG, 10..20);
    second.wait_for_lines(20);
    sidecar.wait_for_alarm("state", "dead letters cannot be written");
    sidecar.wait_for_readyz(503);
    sidecar.write_lines(LOG, 20..25);
    second.wait_for_lines(25);
    assert_eq!(first.accepted_lines().len(), 10, "nothing passes the event that cannot be put away");
    sidecar.assert_books_balance();

    fs::remove_file(sidecar.inside("state/dead-letters/siem/filler")).unwrap();
    first.wait_for_lines(25);
    sidecar.wait_for_readyz(200);
    let letters = fs::read_dir(sidecar.inside("state/dead-letters/siem")).unwrap();
    let text: String = letters.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap()).collect();
    assert_eq!(text.matches("this is not json").count(), 1, "{text}");
    assert_exactly(&mut sidecar, &first, 0..25);
}

// I19: an event that the receiver refuses is asked about again and again, but not without a pause.
#[test]
fn an_event_that_is_refused_and_cannot_be_put_away_is_not_hammered_with() {
    if !can_mount("an_event_that_is_refused_and_cannot_be_put_away_is_not_hammered_with") {
        return;
    }
    let receiver = Receiver::start();
    receiver.rule(|delivery| {
        let bad = delivery.text().contains("evt-0000000003");
        Reply::status(if bad { 400 } else { 200 })
    });
    let mut sidecar = on_a_small_disk(tailing(LOG, &receiver), "state/dead-letters/siem", "size=16k");
    sidecar.append(LOG, "");
    sidecar.start_again();
    sidecar.wait_for_log("reading a file");
    fill(&sidecar.inside("state/dead-letters/siem/filler"));
    sidecar.write_lines(LOG, 0..8);
    sidecar.wait_for_alarm("state", "dead letters cannot be written");
    let before = receiver.deliveries().len();
    std::thread::sleep(Duration::from_secs(3));
    let asked = receiver.deliveries().len() - before;
    assert!(asked <= 5, "{asked} requests in three seconds");
    assert_eq!(receiver.accepted_lines().len(), 3, "what came before it; nothing passes it");
    fs::remove_file(sidecar.inside("state/dead-letters/siem/filler")).unwrap();
    receiver.wait_until("the rest", PATIENCE, |deliveries| {
        deliveries.iter().filter(|d| d.accepted()).map(|d| d.line_count()).sum::<usize>() == 7
    });
    assert_exactly(&mut sidecar, &receiver, (0..3).chain(4..8));
}
