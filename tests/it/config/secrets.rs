//! No secret appears in anything that auditpost writes, prints or serves, whatever goes wrong (M1 of the catalogue).

use std::fs;

use super::{hup, yaml};
use crate::{
    certificate::Authority,
    receiver::{Receiver, Reply},
    sidecar::Sidecar,
};

const LOG: &str = "logs/audit.ndjson";

/// Every place that a secret can be configured in holds this word.
const CANARY: &str = "CANARY";

/// The receivers that make a forwarder say something.
struct Peers {
    good: Receiver,
    refuses: Receiver,
    echoes: Receiver,
    untrusted: Receiver,
    down: u16,
}

impl Peers {
    fn start() -> Self {
        let (good, refuses, echoes) = (Receiver::start(), Receiver::start(), Receiver::start());
        refuses.always(Reply::status(401).body("no, and do not ask again"));
        // It tells us all that we told it, in the body of a refusal of the event and of ourselves.
        echoes.rule(|delivery| {
            let head: String = delivery.headers().iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let status = if delivery.line_count() > 1 { 400 } else { 422 };
            Reply::status(status).body(format!("{} {head}", delivery.path))
        });
        let untrusted = Receiver::start_tls(&Authority::new().issue(&["localhost"]));
        let mut down = Receiver::start();
        down.stop();
        Self { good, refuses, echoes, untrusted, down: down.port() }
    }

    fn forwarders(&self) -> Vec<String> {
        let secrets = "headers: {X-Api-Key: CANARY-header, X-Env: \"${SECRET_HEADER}\"}, batch: {maxAge: 50ms}, \
                       retry: {initial: 50ms, max: 200ms}";
        let item =
            |name: &str, uri: &str, token: &str| format!("- {{name: {name}, uri: \"{uri}\", {token}, {secrets}}}\n");
        let plain = |receiver: &Receiver| format!("http://127.0.0.1:{}", receiver.port());
        vec![
            item("good", &format!("{}/in?key=CANARY-query", plain(&self.good)), "token: CANARY-inline"),
            item("refuses", &format!("{}/${{SECRET_PATH}}/x", plain(&self.refuses)), "token: \"${SECRET_TOKEN}\""),
            item(
                "echoes",
                &format!("{}/${{SECRET_PATH}}?key=CANARY-query", plain(&self.echoes)),
                "tokenFile: \"{dir}/token\"",
            ),
            item(
                "untrusted",
                &format!("https://localhost:{}/?CANARY-query", self.untrusted.port()),
                "token: CANARY-inline",
            ),
            item("down", &format!("http://127.0.0.1:{}/?k=CANARY-query", self.down), "tokenFile: \"{dir}/token\""),
        ]
    }
}

#[test]
fn no_secret_is_in_anything_that_is_written_printed_or_served() {
    let peers = Peers::start();
    let config = yaml(&peers.forwarders())
        .replace("level: debug", "level: trace")
        .replace("drainTimeout: 10s", "drainTimeout: 200ms");
    let mut sidecar = Sidecar::new()
        .config(&config)
        .env("SECRET_TOKEN", "CANARY-env-token")
        .env("SECRET_HEADER", "CANARY-env-header")
        .env("SECRET_PATH", "hooks/CANARY-env-path");
    sidecar.append("token", "CANARY-file-token\n");
    sidecar.write_lines(LOG, 0..4);
    sidecar.append(LOG, "{\"type\":\"cut off\n");
    let (status, checked, said) = sidecar.command(&["check"]);
    assert_eq!(status, 0, "{said}");
    sidecar.start_again();
    peers.good.wait_for_lines(4);
    for state in ["refuses", "untrusted"] {
        sidecar.wait_for_metrics("it is held", |metrics| metrics.state(state) == Some("held"));
    }
    sidecar.wait_for_metrics("what is refused is dead", |metrics| metrics.events("echoes", "dead_lettered") == 5);
    sidecar.wait_for_metrics("the one that is down fails", |metrics| {
        metrics.sum("auditpost_requests_total", &[("forwarder", "down")]) >= 2.0
    });
    // A reload that fails with the secrets in sight, then one that works.
    sidecar.set_config(&config.replace("maxAge: 50ms}", "maxAge: 50}").replace("CANARY-inline", "CANARY inline"));
    hup(&sidecar, "not reloaded");
    sidecar.set_config(&config.replace("CANARY-inline", "CANARY-other"));
    hup(&sidecar, "reloaded:");

    let mut seen = vec![("check".to_owned(), checked + &said)];
    for page in ["/metrics", "/status", "/", "/readyz", "/livez"] {
        seen.push((page.to_owned(), sidecar.get(page).1));
    }
    let admin = format!("http://{}", sidecar.admin());
    for command in [&["status", "--admin", &admin][..], &["cursors", "list"], &["dead-letters", "list"]] {
        let (_, stdout, stderr) = sidecar.command(command);
        seen.push((command.join(" "), stdout + &stderr));
    }
    let cmdline = fs::read(format!("/proc/{}/cmdline", sidecar.pid())).unwrap();
    seen.push(("cmdline".to_owned(), String::from_utf8_lossy(&cmdline).into_owned()));
    sidecar.stop();
    seen.push(("diagnostics".to_owned(), sidecar.stderr()));
    seen.extend(sidecar.read_all("state"));
    assert!(seen.iter().any(|(name, _)| name.contains("dead-letters/echoes/")), "the letters are looked at too");
    for (name, text) in &seen {
        assert!(!text.contains(CANARY), "a secret is in {name}:\n{text}");
    }
    let echoed = &seen.iter().find(|(name, _)| name.contains("dead-letters/echoes/")).unwrap().1;
    assert!(echoed.contains("[redacted]"), "what it echoed is kept without the secrets: {echoed}");
    // The test would prove nothing if they had not been sent.
    let sent = &peers.echoes.deliveries()[0];
    assert_eq!(sent.header("authorization"), Some("Bearer CANARY-file-token"));
    assert_eq!((sent.header("x-api-key"), sent.header("x-env")), (Some("CANARY-header"), Some("CANARY-env-header")));
    assert_eq!(sent.path, "/hooks/CANARY-env-path?key=CANARY-query");
}

/// A secret of a file is in no variable of the process either.
#[test]
fn a_secret_of_a_file_is_not_in_the_environment() {
    let peers = Peers::start();
    let only = vec![peers.forwarders().remove(0).replace("token: CANARY-inline", "tokenFile: \"{dir}/token\"")];
    let mut sidecar = Sidecar::new().config(&yaml(&only)).env("SECRET_HEADER", "harmless");
    sidecar.append("token", "CANARY-file-token\n");
    sidecar.write_lines(LOG, 0..4);
    sidecar.start_again();
    peers.good.wait_for_lines(4);
    let environ = fs::read(format!("/proc/{}/environ", sidecar.pid())).unwrap();
    let environ = String::from_utf8_lossy(&environ);
    assert!(environ.contains("harmless") && !environ.contains(CANARY), "{environ}");
    assert_eq!(sidecar.stop(), 0);
}
