//! TLS: whom we trust, whom they trust, what is said where it fails, and files replaced while it runs.

use std::{
    fs,
    io::Read,
    sync::{Arc, Mutex},
};

use super::{LOG, accepted, following, forwarding, numbers, peer::Peer, quick};
use crate::{
    certificate::{Authority, Identity},
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

/// What goes on with this goes on because a file changed.
const NO_PROBE: &str = "retry: {initial: 20ms, max: 50ms, probe: 1h}";

const CA: &str = "tls: {caFile: \"{dir}/ca.pem\"}";

fn trust(sidecar: &Sidecar, authority: &Authority) {
    fs::write(sidecar.path("ca.new"), authority.pem()).unwrap();
    sidecar.rename("ca.new", "ca.pem");
}

fn show(sidecar: &Sidecar, identity: &Identity) {
    fs::write(sidecar.path("client.pem"), &identity.certificate_pem).unwrap();
    fs::write(sidecar.path("client.key"), &identity.key_pem).unwrap();
}

/// The certificate is for these names; the forwarder goes to that host.
fn over_tls(receiver: &Receiver, host: &str, extra: &str) -> Sidecar {
    following().forwarder("siem", &receiver.url_at(host), &quick(extra))
}

/// H2, the good half.
#[test]
fn our_own_ca_is_trusted_by_name_and_by_address() {
    let authority = Authority::new();
    let receiver = Receiver::start_tls(&authority.issue(&["localhost", "127.0.0.1"]));
    let sidecar = following().forwarder("name", &receiver.url_at("localhost"), &quick(CA)).forwarder(
        "address",
        &receiver.url(),
        &quick(CA),
    );
    trust(&sidecar, &authority);
    receiver.script([Reply::raw("HTTP/1.1 200 OK\r\n\r\nno length").close()]);
    sidecar.write_lines(LOG, 0..50);
    let sidecar = sidecar.start();
    sidecar.wait_settled("name", 50);
    sidecar.wait_settled("address", 50);
    assert_eq!(receiver.accepted_lines().len(), 100);
    assert!(!sidecar.stderr().contains("WARN"), "{}", sidecar.stderr());
}

/// H1, H2, H3: each is held with what is wrong, and recovers when the receiver shows a good certificate.
#[test]
fn a_certificate_that_is_not_acceptable_holds_and_says_why() {
    let (authority, other) = (Authority::new(), Authority::new());
    let cases = [
        ("expired", authority.issue_expired(&["localhost"]), "expired at 2020-01-01T00:00:00Z; our clock says 20"),
        (
            "too-early",
            authority.issue_not_yet_valid(&["localhost"]),
            "valid only from 2096-01-01T00:00:00Z; our clock",
        ),
        ("other-name", authority.issue(&["elsewhere.example"]), "is not for localhost but for"),
        ("other-ca", other.issue(&["localhost"]), "certificate"),
    ];
    let mut sidecar = following();
    let mut receivers = Vec::new();
    for (name, identity, expected) in &cases {
        let receiver = Receiver::start_tls(identity);
        sidecar = sidecar.forwarder(name, &receiver.url_at("localhost"), &quick(CA));
        receivers.push((name, expected, receiver));
    }
    // The platform does not know our authority.
    let unknown = Receiver::start_tls(&authority.issue(&["localhost"]));
    sidecar = sidecar.forwarder("unknown", &unknown.url_at("localhost"), &quick(""));
    trust(&sidecar, &authority);
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    let books = sidecar.watch();
    for (name, expected, receiver) in &receivers {
        sidecar.wait_for_state(name, "held");
        let alarm = sidecar.alarm(name, "held").unwrap();
        assert!(alarm.contains(*expected), "{name}: {alarm}");
        assert!(receiver.deliveries().is_empty(), "{name}: something was sent to it");
        receiver.present(&authority.issue(&["localhost"]));
        sidecar.wait_settled(name, 10);
        assert_eq!(accepted(receiver), numbers(0..10), "{name}");
        sidecar.wait_for_state(name, "ready");
        assert_eq!(sidecar.alarm(name, "held"), None);
    }
    sidecar.wait_for_state("unknown", "held");
    let alarm = sidecar.alarm("unknown", "held").unwrap();
    assert!(alarm.contains("CA that we do not trust") && alarm.contains("caFile"), "{alarm}");
    assert!(unknown.deliveries().is_empty());
    let held = "deliveries are held (certificate)";
    sidecar.wait_until_said("a line each", |said| said.matches(held).count() == 5);
    drop(books);
}

/// H10.
#[test]
fn a_ca_file_that_is_replaced_is_taken_up_without_a_restart() {
    let (old, new) = (Authority::new(), Authority::new());
    let receiver = Receiver::start_tls(&new.issue(&["localhost"]));
    let sidecar = over_tls(&receiver, "localhost", &format!("{CA}\n{NO_PROBE}"));
    trust(&sidecar, &old);
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    sidecar.wait_for_state("siem", "held");
    trust(&sidecar, &new);
    sidecar.wait_settled("siem", 10);
    assert_eq!(accepted(&receiver), numbers(0..10));

    // One that is no CA at all, and a good one again.
    fs::write(sidecar.path("ca.pem"), "not pem").unwrap();
    sidecar.wait_for_metrics("the broken file to be met", |metrics| {
        sidecar.append(LOG, "{\"n\":0}\n");
        metrics.state("siem") == Some("held")
    });
    let alarm = sidecar.alarm("siem", "held").unwrap();
    assert!(alarm.contains("ca.pem") && alarm.contains("no certificate"), "{alarm}");
    trust(&sidecar, &new);
    sidecar.wait_for_state("siem", "ready");
    sidecar.wait_settled("siem", 11);
}

/// H9, H10.
#[test]
fn a_client_certificate_is_shown_and_one_that_is_not_accepted_holds_until_it_is_replaced() {
    const CLIENT: &str =
        "tls: {caFile: \"{dir}/ca.pem\", certFile: \"{dir}/client.pem\", keyFile: \"{dir}/client.key\"}";
    let (authority, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let receiver = Receiver::start_mutual_tls(&authority.issue(&["localhost"]), &clients);
    let sidecar = following()
        .forwarder("without", &receiver.url_at("localhost"), &quick(&format!("{CA}\n{NO_PROBE}")))
        .forwarder("with", &receiver.url_at("localhost"), &quick(&format!("{CLIENT}\n{NO_PROBE}")));
    trust(&sidecar, &authority);
    show(&sidecar, &strangers.issue(&["stranger"]));
    sidecar.write_lines(LOG, 0..10);
    let sidecar = sidecar.start();
    for name in ["without", "with"] {
        sidecar.wait_for_state(name, "held");
    }
    let alarm = sidecar.alarm("without", "held").unwrap();
    assert!(alarm.contains("it wants a client certificate: set tls.certFile and tls.keyFile"), "{alarm}");
    let alarm = sidecar.alarm("with", "held").unwrap();
    assert!(alarm.contains("does not accept our client certificate"), "{alarm}");

    sidecar.wait_for_log("client key file can be read by every user");

    show(&sidecar, &clients.issue(&["us"]));
    sidecar.wait_settled("with", 10);
    assert_eq!(accepted(&receiver), numbers(0..10));
    assert_eq!(sidecar.metrics().state("without"), Some("held"));

    // A key that does not go with the certificate is a file of ours to be mended.
    fs::write(sidecar.path("client.key"), clients.issue(&["us"]).key_pem).unwrap();
    sidecar.wait_for_metrics("the wrong key to be met", |metrics| {
        sidecar.append(LOG, "{\"n\":0}\n");
        metrics.state("with") == Some("held")
    });
    let alarm = sidecar.alarm("with", "held").unwrap();
    assert!(alarm.contains("client.key") && alarm.contains("does not go with"), "{alarm}");
    show(&sidecar, &clients.issue(&["us"]));
    sidecar.wait_settled("with", 11);
}

/// H4, H5, H6, H7, G17.
#[test]
fn a_peer_whose_tls_fails_is_tried_again_and_held_where_it_is_no_tls_at_all() {
    let plain = Peer::saying(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
    let ancient = Peer::saying(&[0x15, 3, 1, 0, 2, 2, 70]);
    let (silent, resetting) = (Peer::deaf(), Peer::resetting());
    let mut sidecar = following();
    for (name, peer) in [("plain", &plain), ("ancient", &ancient), ("silent", &silent), ("resetting", &resetting)] {
        let url = format!("https://localhost:{}/", peer.port());
        sidecar = sidecar.forwarder(name, &url, &quick("timeout: 400ms"));
    }
    sidecar.write_lines(LOG, 0..5);
    let sidecar = sidecar.start();
    for (name, expected) in [("plain", "is not TLS"), ("ancient", "no TLS 1.2 or 1.3")] {
        sidecar.wait_for_state(name, "held");
        let alarm = sidecar.alarm(name, "held").unwrap();
        assert!(alarm.contains(expected), "{name}: {alarm}");
    }
    for (name, code) in [("silent", "timeout"), ("resetting", "reset")] {
        let metrics = sidecar.wait_for_metrics("more tries", |metrics| metrics.requests(name, code) >= 3);
        assert_ne!(metrics.state(name), Some("held"), "{name}: it may come back");
    }
    assert!(silent.connections() >= 3 && plain.connections() >= 3);
}

/// H12.
#[test]
fn the_name_is_told_in_the_handshake_and_an_address_is_not() {
    let hellos = Arc::new(Mutex::new(Vec::new()));
    let peer = {
        let hellos = hellos.clone();
        Peer::start(move |mut stream| {
            let mut hello = vec![0; 8 * 1024];
            let read = stream.read(&mut hello).unwrap_or(0);
            hello.truncate(read);
            // A kill may come between connecting and the first byte.
            if read > 0 {
                hellos.lock().unwrap().push(hello);
            }
        })
    };
    let sidecar = following().forwarder("name", &format!("https://localhost:{}/", peer.port()), &quick(""));
    sidecar.write_lines(LOG, 0..1);
    let mut sidecar = sidecar.start();
    sidecar.wait_for_metrics("a handshake", |metrics| metrics.all_requests("name") > 0);
    sidecar.kill();
    let holds = |hello: &Vec<u8>, name: &str| hello.windows(name.len()).any(|window| window == name.as_bytes());
    let named = std::mem::take(&mut *hellos.lock().unwrap());
    assert!(!named.is_empty() && named.iter().all(|hello| holds(hello, "localhost")));

    let sidecar = following().forwarder("address", &peer.url("https"), &quick(""));
    sidecar.write_lines(LOG, 0..1);
    let sidecar = sidecar.start();
    sidecar.wait_for_metrics("a handshake", |metrics| metrics.all_requests("address") > 0);
    let unnamed = hellos.lock().unwrap();
    assert!(!unnamed.is_empty() && !unnamed.iter().any(|hello| holds(hello, "127.0.0.1")));
}

/// H11, G25: no redirect leads from https to http.
#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let authority = Authority::new();
    let receiver = Receiver::start_tls(&authority.issue(&["localhost"]));
    let trap = Receiver::start();
    receiver.script([Reply::status(307).header("location", &trap.url())]);
    let sidecar = over_tls(&receiver, "localhost", &format!("{CA}\ntoken: t0ken"));
    trust(&sidecar, &authority);
    sidecar.write_lines(LOG, 0..5);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 5);
    assert_eq!((accepted(&receiver), trap.connections()), (numbers(0..5), 0));
}

#[test]
fn whoever_answers_is_trusted_only_where_that_was_asked_for_and_it_is_said() {
    let receiver = Receiver::start_tls(&Authority::new().issue_expired(&["elsewhere.example"]));
    let sidecar = forwarding(&receiver, "tls: {insecureSkipVerify: true}");
    sidecar.write_lines(LOG, 0..5);
    let sidecar = sidecar.start();
    sidecar.wait_settled("siem", 5);
    sidecar.wait_for_log("certificates are NOT verified");
}
