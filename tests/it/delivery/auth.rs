//! A token that is refused, and replaced while it runs.

use std::fs;

use super::{LOG, accepted, forwarding, numbers};
use crate::{
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// No probe comes to its help: what goes on goes on because the file changed.
const KEYS: &str = "retry: {initial: 20ms, max: 100ms, probe: 1h}\ntokenFile: \"{dir}/token\"\n\
                    batch: {maxEvents: 10, maxAge: 20ms}";

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

/// G31.
#[test]
fn a_refused_token_is_read_again_and_tried_once_more_then_held_until_there_is_another() {
    let receiver = Receiver::start();
    only(&receiver, "new");
    let sidecar = forwarding(&receiver, KEYS);
    replace_token(&sidecar, "old");
    sidecar.write_lines(LOG, 0..30);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    let metrics = sidecar.wait_for_state("siem", "held");
    assert_eq!(metrics.requests("siem", "401"), 2, "one immediate retry, and no more");
    let alarm = sidecar.alarm("siem", "held").unwrap();
    assert!(alarm.contains("401"), "{alarm}");
    sidecar.wait_for_log("deliveries are held (unauthorized)");

    replace_token(&sidecar, "new");
    let metrics = sidecar.wait_settled("siem", 30);
    assert_eq!(accepted(&receiver), numbers(0..30));
    assert_eq!(metrics.requests("siem", "401"), 2);
    sidecar.wait_for_state("siem", "ready");
    assert_eq!(sidecar.alarm("siem", "held"), None);
    let deliveries = receiver.deliveries();
    let sent: Vec<Option<&str>> =
        deliveries.iter().take(3).map(|delivery| delivery.header("authorization")).collect();
    assert_eq!(sent, [Some("Bearer old"), Some("Bearer old"), Some("Bearer new")]);
    assert!(deliveries[..3].iter().all(|d| d.id() == deliveries[0].id() && d.wire == deliveries[0].wire));
    assert_eq!(deliveries[2].attempt(), 3);

    // One that is rotated before it is refused costs no hold.
    replace_token(&sidecar, "newer");
    only(&receiver, "newer");
    sidecar.write_lines(LOG, 30..40);
    sidecar.wait_settled("siem", 40);
    assert_eq!(accepted(&receiver), numbers(0..40));
    assert_eq!(sidecar.times_said("deliveries are held"), 1);
    drop(books);
}
