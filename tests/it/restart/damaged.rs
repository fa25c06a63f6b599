//! One forwarder whose state cannot be opened: the others deliver, nothing that it may need goes, and the way out that
//! the message names works.

use std::fs;

use crate::{
    receiver::{PATIENCE, Receiver},
    sidecar::Sidecar,
    tail::{QUICK_FORWARDER, QUICK_SOURCE, assert_exactly, sorted},
    tools::wait_until,
};

const LOG: &str = "logs/audit.ndjson";
const JOURNAL: &str = "state/forwarders/siem/journal";

/// Both have delivered 0..50 of one source, and are stopped.
fn two(siem: &Receiver, archive: &Receiver) -> Sidecar {
    let mut sidecar = Sidecar::new()
        .top("drainTimeout: 5s")
        .file_source_with("app", LOG, QUICK_SOURCE)
        .forwarder("siem", &siem.url(), QUICK_FORWARDER)
        .forwarder("archive", &archive.url(), QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..50);
    sidecar.start_again();
    siem.wait_for_lines(50);
    archive.wait_for_lines(50);
    assert_eq!(sidecar.stop(), 0);
    sidecar
}

/// Changes one byte of the first line of a journal: what it was.
fn damage(sidecar: &Sidecar, forwarder: &str) -> Vec<u8> {
    let path = sidecar.path(format!("state/forwarders/{forwarder}/journal"));
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[20] ^= 4;
    fs::write(&path, bad).unwrap();
    good
}

/// The lines of this run that say that a forwarder is not started.
fn not_started(sidecar: &Sidecar) -> Vec<String> {
    let said = sidecar.run_stderr();
    said.lines().filter(|line| line.contains("it is not started, and the others run")).map(str::to_owned).collect()
}

/// The forwarder `siem` as `/status` shows it.
fn siem_of(status: &serde_json::Value) -> &serde_json::Value {
    let forwarders = status["forwarders"].as_array().unwrap();
    forwarders.iter().find(|forwarder| forwarder["name"] == "siem").expect("it is shown")
}

// C8: by what it prints, an operator gets everything delivered.
#[test]
fn a_damaged_journal_keeps_no_other_forwarder_down_and_the_command_that_is_named_mends_it() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = two(&siem, &archive);
    damage(&sidecar, "siem");
    let bad = fs::read(sidecar.path(JOURNAL)).unwrap();
    siem.clear();
    sidecar.write_lines(LOG, 50..60);
    sidecar.start_again();
    archive.wait_for_lines(60);

    // Said once, and shown for as long as it lasts, without taking the others out of service.
    let said = not_started(&sidecar);
    assert!(said.len() == 1 && said[0].contains("ERROR"), "{said:?}");
    assert!(
        said[0].contains("siem") && said[0].contains(JOURNAL) && said[0].contains("no readable header"),
        "{said:?}"
    );
    sidecar.wait_for_alarm("file", "no readable header");
    assert_eq!(sidecar.get("/readyz").0, 200);
    assert_eq!(sidecar.get("/livez").0, 200);
    let status = sidecar.status();
    assert_eq!(siem_of(&status)["state"], "stopped", "{status:#}");
    assert!(siem_of(&status)["reason"].as_str().unwrap().contains("no readable header"), "{status:#}");
    let behind = |metrics: &crate::metrics::Metrics| {
        metrics.get("auditpost_backlog_bytes", &[("forwarder", "siem"), ("source", "app")])
    };
    let size = fs::metadata(sidecar.path(LOG)).unwrap().len();
    let metrics = sidecar.wait_for_metrics("its backlog", |metrics| behind(metrics) == Some(size as f64));
    assert_eq!((metrics.state("siem"), metrics.state("archive")), (Some("stopped"), Some("ready")));
    let admin = format!("http://{}", sidecar.admin());
    let (_, table, _) = sidecar.command(&["status", "--admin", &admin]);
    let row = table.lines().find(|line| line.starts_with("siem")).unwrap();
    assert!(row.contains("stopped") && row.contains("no readable header"), "{table}");

    // Rotated away and deleted: nobody else needs it.
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.write_lines(LOG, 60..70);
    archive.wait_for_lines(70);
    sidecar.remove("logs/audit.ndjson.1");

    let command = said[0].split('`').nth(1).expect("it names a command").to_owned();
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    let with_yes: Vec<&str> = words.iter().copied().chain(["--yes"]).collect();
    let (exit, _, stderr) = sidecar.command(&with_yes);
    assert_eq!(exit, 75, "{stderr}");
    assert_eq!(sidecar.stop(), 10, "what siem has not delivered is a backlog");
    let (exit, stdout, stderr) = sidecar.command(&words);
    assert_eq!(exit, 64, "{stderr}");
    assert!(stdout.contains("duplicates") && stderr.contains("nothing was changed"), "{stdout}{stderr}");
    assert_eq!(fs::read(sidecar.path(JOURNAL)).unwrap(), bad);
    let (exit, stdout, stderr) = sidecar.command(&with_yes);
    assert_eq!(exit, 0, "{stdout}{stderr}");
    let kept = sidecar.read_all("state/forwarders/siem");
    let (aside, text) = kept.iter().find(|(name, _)| name.contains("journal.damaged-")).expect("it is kept");
    assert_eq!(text.as_bytes(), String::from_utf8_lossy(&bad).as_bytes());
    assert!(stdout.contains(aside), "{stdout}");

    assert!(siem.deliveries().is_empty());
    archive.clear();
    sidecar.start_again();
    assert_exactly(&mut sidecar, &siem, 0..70);
    assert!(archive.deliveries().is_empty(), "archive is not touched");
}

// C11, C13, and what else can stand there: the others go on, it is as it was, and a reload takes up what was mended.
#[test]
fn a_forwarder_whose_state_cannot_be_opened_is_taken_up_by_a_reload_once_it_is_mended() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = two(&siem, &archive);
    let journal = sidecar.path(JOURNAL);
    let (aside, letters) = (sidecar.path("aside"), sidecar.path("state/dead-letters/siem"));
    let good = sidecar.read(JOURNAL);
    let header = |from: &str, to: &str| {
        let json = good.lines().next().unwrap()[9..].replace(from, to);
        let mut crc = flate2::Crc::new();
        crc.update(json.as_bytes());
        format!("{:08x} {json}\n", crc.sum())
    };
    let mut sent = 50;
    for (what, says) in [
        ("empty", "is empty"),
        ("newer", "has format version 99"),
        ("other", "belongs to forwarder 'other'"),
        ("link", "cannot read or create the journal"),
        ("directory", "is not a regular file"),
        ("letters", "dead letters cannot be opened"),
    ] {
        if what == "letters" {
            fs::rename(&letters, &aside).unwrap();
            fs::write(&letters, "").unwrap();
        } else {
            fs::rename(&journal, &aside).unwrap();
        }
        match what {
            "empty" => fs::write(&journal, "").unwrap(),
            "newer" => fs::write(&journal, header("\"v\":2", "\"v\":99")).unwrap(),
            "other" => fs::write(&journal, header("\"siem\"", "\"other\"")).unwrap(),
            "link" => std::os::unix::fs::symlink(&aside, &journal).unwrap(),
            "directory" => fs::create_dir(&journal).unwrap(),
            _ => {}
        }
        let said = sidecar.stderr().len();
        sidecar.start_again();
        sidecar.write_lines(LOG, sent..sent + 10);
        sent += 10;
        archive.wait_for_lines(usize::try_from(sent).unwrap());
        sidecar.wait_for_alarm("file", says);
        assert_eq!(not_started(&sidecar).len(), 1, "{what}: {}", &sidecar.stderr()[said..]);
        let before = siem.accepted_lines().len();

        match what {
            "letters" => fs::remove_file(&letters).and_then(|()| fs::rename(&aside, &letters)).unwrap(),
            "directory" => fs::remove_dir(&journal).and_then(|()| fs::rename(&aside, &journal)).unwrap(),
            _ => fs::rename(&aside, &journal).unwrap(),
        }
        assert!(before < usize::try_from(sent).unwrap(), "{what}");
        sidecar.hup();
        siem.wait_for_lines(usize::try_from(sent).unwrap());
        sidecar.wait_for_status("no alarm", |status| status["alarms"].as_array().is_some_and(Vec::is_empty));
        assert_eq!(siem_of(&sidecar.status())["state"], "ready", "{what}");
        assert_eq!(sidecar.stop(), 0, "{what}");
    }
    for receiver in [&siem, &archive] {
        assert_eq!(crate::events::numbers(&receiver.accepted_lines()), (0..sent).collect::<Vec<_>>());
    }
}

#[test]
fn a_reload_leaves_a_forwarder_that_cannot_be_opened_and_forgets_one_that_was_taken_out() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = two(&siem, &archive);
    let both = sidecar.yaml();
    let at = both.find("- name: siem").unwrap();
    let without = format!("{}{}", &both[..at], &both[both.find("- name: archive").unwrap()..]);
    sidecar.set_config(&without);
    sidecar.start_again();
    sidecar.wait_for_log("forwarding");
    damage(&sidecar, "siem");
    siem.clear();
    sidecar.set_config(&both);
    sidecar.hup();
    sidecar.wait_for_alarm("file", "no readable header");
    sidecar.write_lines(LOG, 50..60);
    archive.wait_for_lines(60);
    assert_eq!(not_started(&sidecar).len(), 1);
    assert_eq!(siem_of(&sidecar.status())["state"], "stopped");
    sidecar.hup();
    wait_until("another try", || not_started(&sidecar).len() == 2);
    // While it is configured a rotated file is held for it, and let go with it.
    sidecar.rename(LOG, "logs/audit.ndjson.1");
    sidecar.write_lines(LOG, 60..70);
    archive.wait_for_lines(70);
    let open = |files: f64| {
        move |metrics: &crate::metrics::Metrics| {
            metrics.get("auditpost_files_open", &[("source", "app")]) == Some(files)
        }
    };
    sidecar.wait_for_metrics("both files", open(2.0));
    sidecar.set_config(&without);
    sidecar.hup();
    sidecar.wait_for_log("no longer configured");
    sidecar.wait_for_metrics("the rotated file to be let go", open(1.0));
    let status = sidecar.status();
    assert!(status["alarms"].as_array().unwrap().is_empty(), "{status:#}");
    assert_eq!(status["forwarders"][1]["state"], "removed");
    assert_eq!(sidecar.stop(), 0);
    assert!(siem.deliveries().is_empty());
}

#[test]
fn where_no_forwarder_can_be_opened_the_start_ends_and_names_each() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = two(&siem, &archive);
    let good = [damage(&sidecar, "siem"), damage(&sidecar, "archive")];
    let before = sidecar.stderr().len();
    sidecar.write_lines(LOG, 50..60);
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 74);
    let said = sidecar.stderr()[before..].to_owned();
    for forwarder in ["siem", "archive"] {
        assert!(said.contains(&format!("cursors forget --damaged --forwarder {forwarder} ")), "{said}");
        let (status, stdout, stderr) = sidecar.command(&["cursors", "list"]);
        assert_eq!(status, 74, "{stderr}");
        assert!(stderr.contains(&format!("forwarders/{forwarder}/journal")), "{stderr}");
        assert!(stdout.contains(&format!("{forwarder}: ")), "{stdout}");
    }
    for (forwarder, good) in ["siem", "archive"].iter().zip(good) {
        fs::write(sidecar.path(format!("state/forwarders/{forwarder}/journal")), good).unwrap();
    }
    sidecar.start_again();
    archive.wait_for_lines(60);
    assert_exactly(&mut sidecar, &siem, 0..60);
}

#[test]
fn a_spool_holds_all_for_a_forwarder_that_cannot_be_opened() {
    let (siem, archive) = (Receiver::start(), Receiver::start());
    let mut sidecar = Sidecar::new()
        .top("drainTimeout: 5s")
        .file_source_with("app", LOG, &format!("{QUICK_SOURCE}\nspool: true"))
        .forwarder("siem", &siem.url(), QUICK_FORWARDER)
        .forwarder("archive", &archive.url(), QUICK_FORWARDER);
    sidecar.write_lines(LOG, 0..10);
    sidecar.start_again();
    siem.wait_for_lines(10);
    archive.wait_for_lines(10);
    assert_eq!(sidecar.stop(), 0);
    damage(&sidecar, "siem");
    sidecar.write_lines(LOG, 10..20);
    sidecar.start_again();
    archive.wait_for_lines(20);
    sidecar.truncate(LOG, 0);
    assert_eq!(sidecar.stop(), 10);
    assert_eq!(sidecar.command(&["cursors", "forget", "--damaged", "--forwarder", "siem", "--yes"]).0, 0);
    siem.clear();
    sidecar.start_again();
    siem.wait_until("what the spool holds", PATIENCE, |deliveries| {
        let lines: Vec<String> = deliveries.iter().flat_map(|delivery| delivery.lines()).collect();
        (10..20).all(|n| sorted(&lines).contains(&n))
    });
    assert_eq!(sidecar.stop(), 0);
    assert_eq!(archive.accepted_lines().len(), 20);
}
