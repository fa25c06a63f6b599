//! The commands over dead letters: list, show, replay.

use super::{LOG, accepted, forwarding, numbers, refuse};
use crate::{
    events,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// A line with what JSON escapes and UTF-8 has, to be kept byte for byte.
const ODD: &str = r#"{"n":40,"odd":"\u0000 \" \\ \/ \ud83d\ude00 😀 é","type":"odd"}"#;

/// A sidecar that has given up the events 7 and 23 and [`ODD`], and met lines that are no events.
fn with_letters(receiver: &Receiver, extra: &str) -> Sidecar {
    refuse(receiver, 422, [7, 23, 40]);
    let sidecar = forwarding(receiver, extra);
    sidecar.write_lines(LOG, 0..30);
    sidecar.append(LOG, "no json at all\n");
    sidecar.append(LOG, b"{\"bytes\":\"\xff\xfe\"}\n");
    sidecar.append(LOG, format!("{ODD}\n"));
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 33);
    sidecar
}

fn letters(sidecar: &Sidecar, args: &[&str]) -> (i32, String, String) {
    let config = sidecar.config_path().display().to_string();
    sidecar.command(&[&["dead-letters", "-c", &config], args].concat())
}

fn event_ids(sidecar: &Sidecar, reason: &str) -> Vec<String> {
    let letters = sidecar.dead_letters("siem");
    let chosen = letters.iter().filter(|letter| letter["reason"] == reason);
    chosen.map(|letter| letter["event_id"].as_str().unwrap().to_owned()).collect()
}

/// I21.
#[test]
fn they_are_listed_and_shown_with_their_exact_bytes() {
    let receiver = Receiver::start();
    let sidecar = with_letters(&receiver, "");
    let (status, table, errors) = letters(&sidecar, &["list"]);
    assert_eq!((status, errors.as_str()), (0, ""), "{table}");
    assert_eq!(table.lines().count(), 1 + 5, "{table}");
    assert!(table.lines().next().unwrap().starts_with("EVENT ID"));
    let (_, refused, _) = letters(&sidecar, &["list", "--reason", "refused", "--forwarder", "siem", "--since", "1h"]);
    assert_eq!(refused.lines().count(), 1 + 3, "{refused}");
    assert!(refused.contains(" 422 ") && refused.contains("cannot take \"n\":7,"), "{refused}");
    let (_, none, _) = letters(&sidecar, &["list", "--forwarder", "other"]);
    assert_eq!(none, "no dead letters\n");

    let ids = event_ids(&sidecar, "refused");
    for (id, expected) in ids.iter().zip([events::event(7), events::event(23), ODD.to_owned()]) {
        assert_eq!(letters(&sidecar, &["show", id]), (0, expected, String::new()));
    }
    let invalid = &event_ids(&sidecar, "invalid_json")[0];
    assert_eq!(letters(&sidecar, &["show", invalid]).1, "no json at all");
    let (status, shown, errors) = letters(&sidecar, &["show", "nonesuch"]);
    assert_eq!((status, shown.as_str()), (64, ""));
    assert!(errors.contains("nonesuch"), "{errors}");
}

#[test]
fn a_replay_sends_each_letter_under_its_event_id_beside_a_running_instance() {
    let receiver = Receiver::start();
    let sidecar = with_letters(&receiver, "token: t0ken\nformat: json\nprofile: konnect");
    let (status, said, _) = letters(&sidecar, &["replay", "--dry-run", "--reason", "refused"]);
    assert_eq!(status, 0);
    assert!(said.starts_with("3 events ("), "{said}");

    receiver.clear();
    receiver.always(Reply::status(200));
    let (status, said, errors) = letters(&sidecar, &["replay", "--forwarder", "siem", "--reason", "refused"]);
    assert_eq!((status, errors.as_str()), (0, ""), "{said}");
    assert!(said.ends_with("3 sent, 0 kept\n"), "{said}");
    let sent = receiver.deliveries();
    assert_eq!(receiver.ids(), event_ids(&sidecar, "refused"));
    assert_eq!(receiver.accepted_lines(), [events::event(7), events::event(23), ODD.to_owned()]);
    for delivery in &sent {
        let header = |name: &str| delivery.header(name).unwrap().to_owned();
        assert_eq!(header("authorization"), "Bearer t0ken");
        assert_eq!(header("idempotency-key"), format!("\"{}\"", delivery.id()));
        assert_eq!((header("auditpost-forwarder"), header("auditpost-events")), ("siem".into(), "1".into()));
        assert_eq!(
            (header("content-type"), header("content-encoding")),
            ("application/text".into(), "application/gzip".into())
        );
    }
    // They stay, and have the same ids however often they are sent.
    receiver.clear();
    assert_eq!(letters(&sidecar, &["replay", "--reason", "refused"]).0, 0);
    assert_eq!(receiver.ids(), sent.iter().map(|delivery| delivery.id().to_owned()).collect::<Vec<_>>());
    // The instance that runs is none the wiser.
    receiver.clear();
    sidecar.write_lines(LOG, 30..35);
    sidecar.wait_settled("siem", 38);
    assert_eq!(accepted(&receiver), numbers(30..35));
}

#[test]
fn what_would_be_refused_as_before_is_kept_and_said() {
    let receiver = Receiver::start();
    let sidecar = with_letters(&receiver, "");
    receiver.clear();
    let (status, said, _) = letters(&sidecar, &["replay"]);
    assert_eq!(status, 10, "{said}");
    assert!(said.ends_with("0 sent, 5 kept\n"), "{said}");
    assert_eq!(said.matches("refused again: answered 422").count(), 3, "{said}");
    assert_eq!(said.matches("it is still no event").count(), 2, "{said}");
    assert_eq!(receiver.deliveries().len(), 3, "what is no event is not sent");
}

#[test]
fn a_replay_retries_what_passes_and_stops_at_a_receiver_that_does_not_answer() {
    let mut receiver = Receiver::start();
    let sidecar = with_letters(&receiver, "");
    receiver.clear();
    receiver.always(Reply::status(200));
    receiver.script([503, 429, 500].map(Reply::status));
    let (status, said, _) = letters(&sidecar, &["replay", "--reason", "refused"]);
    assert_eq!(status, 0, "{said}");
    let attempts: Vec<u64> = receiver.deliveries().iter().map(|delivery| delivery.attempt()).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 1, 1]);
    assert!(receiver.deliveries()[..4].iter().all(|delivery| delivery.id() == receiver.ids()[0]));

    receiver.clear();
    receiver.script([Reply::status(200), Reply::status(401), Reply::status(401)]);
    let (status, said, errors) = letters(&sidecar, &["replay", "--reason", "refused"]);
    assert_eq!((status, receiver.accepted_ids().len()), (10, 1), "{said}");
    assert!(errors.contains("401") && errors.contains("1 sent"), "{errors}");

    receiver.clear_script();
    receiver.stop();
    let (status, _, errors) = letters(&sidecar, &["replay", "--reason", "refused"]);
    assert_eq!(status, 10);
    assert!(errors.contains("refused") && errors.contains("0 sent") && errors.contains("run it again"), "{errors}");
}

/// I20.
#[test]
fn a_replay_that_is_killed_loses_no_letter() {
    let receiver = Receiver::start();
    let sidecar = with_letters(&receiver, "timeout: 60s");
    receiver.clear();
    receiver.always(Reply::status(200));
    receiver.script([Reply::status(200), Reply::hang()]);
    let config = sidecar.config_path();
    let mut replay = std::process::Command::new(env!("CARGO_BIN_EXE_auditpost"))
        .args(["dead-letters", "-c"])
        .arg(&config)
        .args(["replay", "--reason", "refused"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    receiver.wait_for_requests(2);
    replay.kill().unwrap();
    replay.wait().unwrap();
    receiver.clear();
    let (status, said, _) = letters(&sidecar, &["replay", "--reason", "refused"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(receiver.accepted_ids(), event_ids(&sidecar, "refused"));
}

#[test]
fn a_line_too_long_is_kept_whole_and_a_stub_is_sent_in_its_place() {
    let receiver = Receiver::start();
    let sidecar = Sidecar::new().file_source_with("app", "logs/*.ndjson", "maxEventBytes: 2KiB").forwarder(
        "siem",
        &receiver.url(),
        &super::quick(""),
    );
    let long = format!(r#"{{"n":3,"pad":"{}"}}"#, "w".repeat(100_000));
    sidecar.write_lines(LOG, 0..3);
    sidecar.append(LOG, format!("{long}\n"));
    sidecar.write_lines(LOG, 4..6);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_settled("siem", 6);
    assert_eq!((metrics.events("siem", "delivered"), metrics.events("siem", "dead_lettered")), (5, 1));
    let lines = receiver.accepted_lines();
    assert_eq!((lines.len(), lines[2].as_str()), (6, events::event(2).as_str()));
    let id = &event_ids(&sidecar, "line_too_long")[0];
    assert!(lines[3].contains(id.as_str()) && lines[3].len() < 1000, "{}", lines[3]);
    assert_eq!(letters(&sidecar, &["show", id]).1, long);
    let (status, said, _) = letters(&sidecar, &["replay"]);
    assert!(status == 10 && said.contains("still more than maxEventBytes"), "{said}");
    drop(books);
}
