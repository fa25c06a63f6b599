//! Credentials: refused, replaced while it runs, missing.

use std::{fs, time::Duration};

use super::{LOG, accepted, fan, forwarding, numbers};
use crate::{
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// No probe comes to the help of these tests: what goes on goes on because a file changed.
const NO_PROBE: &str = "retry: {initial: 20ms, max: 100ms, probe: 1h}";

fn only(receiver: &Receiver, token: &str) {
    let expected = format!("Bearer {token}");
    receiver.rule(move |delivery| {
        Reply::status(if delivery.header("authorization") == Some(&expected) { 200 } else { 401 })
    });
}

/// Puts a token in the place of another as secret managers do: by renaming.
fn replace_token(sidecar: &Sidecar, token: &str) {
    fs::write(sidecar.path("token.new"), format!("{token}\n")).unwrap();
    sidecar.rename("token.new", "token");
}

fn with_token_file(receiver: &Receiver, extra: &str) -> Sidecar {
    forwarding(receiver, &format!("{extra}\ntokenFile: \"{{dir}}/token\"\nbatch: {{maxEvents: 10, maxAge: 20ms}}"))
}

/// G31.
#[test]
fn a_refused_token_is_read_again_and_tried_once_more_then_held_until_there_is_another() {
    let receiver = Receiver::start();
    only(&receiver, "new");
    let sidecar = with_token_file(&receiver, NO_PROBE);
    replace_token(&sidecar, "old");
    sidecar.write_lines(LOG, 0..30);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_for_state("siem", "held");
    assert_eq!(metrics.requests("siem", "401"), 2, "one immediate retry, and no more");
    let alarm = sidecar.alarm("siem", "held").unwrap();
    assert!(alarm.contains("401"), "{alarm}");
    assert!(sidecar.stderr().contains("deliveries are held (unauthorized)"), "{}", sidecar.stderr());

    replace_token(&sidecar, "new");
    let metrics = sidecar.wait_settled("siem", 30);
    assert_eq!(accepted(&receiver), numbers(0..30));
    assert_eq!((metrics.requests("siem", "401"), metrics.state("siem")), (2, Some("ready")));
    assert_eq!(sidecar.alarm("siem", "held"), None);
    let deliveries = receiver.deliveries();
    let sent: Vec<Option<&str>> =
        deliveries.iter().take(3).map(|delivery| delivery.header("authorization")).collect();
    assert_eq!(sent, [Some("Bearer old"), Some("Bearer old"), Some("Bearer new")]);
    assert!(deliveries[..3].iter().all(|d| d.id() == deliveries[0].id() && d.wire == deliveries[0].wire));
    assert_eq!(deliveries[2].attempt(), 3);
    drop(books);
}

/// G31.
#[test]
fn a_token_that_is_rotated_while_it_runs_costs_no_hold() {
    let receiver = Receiver::start();
    only(&receiver, "token-0");
    let sidecar = with_token_file(&receiver, NO_PROBE);
    replace_token(&sidecar, "token-0");
    let sidecar = sidecar.start();
    for round in 1..=5 {
        sidecar.write_lines(LOG, round * 10 - 10..round * 10);
        sidecar.wait_settled("siem", round * 10);
        replace_token(&sidecar, &format!("token-{round}"));
        only(&receiver, &format!("token-{round}"));
    }
    assert_eq!(accepted(&receiver), numbers(0..50));
    assert!(!sidecar.stderr().contains("deliveries are held"), "{}", sidecar.stderr());
}

/// G31, G32: other ways to refuse us, and a token that is no file.
#[test]
fn whoever_refuses_our_credentials_is_probed_slowly_and_recovers_by_itself() {
    let cases = [("unauthorized", 401), ("forbidden", 403), ("proxy", 407)];
    let (sidecar, receivers) = fan(
        cases,
        |_| "token: inline\nretry: {initial: 20ms, max: 100ms, probe: 300ms}".to_owned(),
        |status, receiver| receiver.script([0; 4].map(|_| Reply::status(*status))),
    );
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    for (name, status, receiver) in &receivers {
        let metrics = sidecar.wait_settled(name, 10);
        assert_eq!(accepted(receiver), numbers(0..10), "{name}");
        assert_eq!(metrics.requests(name, &status.to_string()), 4);
        let pauses: Vec<Duration> = receiver.deliveries().windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        let probe = Duration::from_millis(300);
        assert!(pauses[1..].iter().all(|pause| *pause >= probe), "{name}: {pauses:?}");
        assert!(sidecar.stderr().contains("deliveries are held (unauthorized)"), "{name}");
    }
}

#[test]
fn nothing_is_sent_without_the_token_that_is_configured() {
    let receiver = Receiver::start();
    only(&receiver, "there");
    let sidecar = with_token_file(&receiver, NO_PROBE).start();
    sidecar.write_lines(LOG, 0..10);
    sidecar.wait_for_state("siem", "held");
    let alarm = sidecar.alarm("siem", "held").unwrap();
    assert!(alarm.contains("token file") && alarm.contains("cannot be read"), "{alarm}");
    replace_token(&sidecar, "there");
    sidecar.wait_settled("siem", 10);

    // Taken away while it runs, and given back.
    sidecar.remove("token");
    sidecar.wait_for_metrics("the token to be missed", |metrics| {
        sidecar.append(LOG, "{\"n\":0}\n");
        metrics.state("siem") == Some("held")
    });
    let sent = receiver.deliveries().len();
    fs::write(sidecar.path("token"), "\n").unwrap();
    sidecar.wait_for_metrics("an empty token", |_| {
        sidecar.alarm("siem", "held").is_some_and(|text| text.contains("empty"))
    });
    assert_eq!(receiver.deliveries().len(), sent);
    replace_token(&sidecar, "there");
    sidecar.wait_settled("siem", 11);
    assert!(receiver.deliveries().iter().all(|d| d.header("authorization") == Some("Bearer there")));
}
