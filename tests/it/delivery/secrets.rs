//! Secrets go to the receiver and nowhere else.

use std::fs;

use super::{LOG, following, quick};
use crate::{
    receiver::{Delivery, Receiver, Reply},
    sidecar::Sidecar,
};

const TOKEN: &str = "canary-token-8f1b";
const FILE_TOKEN: &str = "canary-file-token-77aa";
const HEADER: &str = "canary-header-c0de";
const QUERY: &str = "canary-query-1234";

/// A receiver of the kind that prints the whole request on its error page.
fn echo(delivery: &Delivery, status: u16) -> Reply {
    let headers: Vec<String> = delivery.headers().iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let page = format!("failed: {} {}\n{}", delivery.method, delivery.path, headers.join("\n"));
    Reply::status(status).header("x-echo", &headers.join("; ")).body(page)
}

/// Refuses, by turns, in every way that there is, and one event for good.
fn hostile(receiver: &Receiver) {
    receiver.rule(|delivery| {
        if delivery.text().contains("\"n\":3,") {
            return echo(delivery, 400);
        }
        let number: u16 = delivery.header("auditpost-batch").unwrap().parse().unwrap();
        let refusals = [500, 401, 404, 413, 503, 302, 429];
        match delivery.attempt() {
            1..3 => echo(delivery, refusals[usize::from(number) % refusals.len()]),
            _ => Reply::status(200),
        }
    });
}

fn assert_nowhere(sidecar: &Sidecar, extra: &[(&str, String)]) {
    let mut shown: Vec<(String, String)> =
        ["/metrics", "/status", "/", "/readyz", "/livez"].map(|page| (page.to_owned(), sidecar.get(page).1)).to_vec();
    shown.push(("standard error".to_owned(), sidecar.stderr()));
    shown.push((
        "the command line".to_owned(),
        fs::read_to_string(format!("/proc/{}/cmdline", sidecar.pid())).unwrap(),
    ));
    shown.extend(sidecar.read_all("state"));
    shown.extend(extra.iter().map(|(name, text)| ((*name).to_owned(), text.clone())));
    for (place, text) in &shown {
        for secret in [TOKEN, FILE_TOKEN, HEADER, QUERY] {
            // The beginning of one is as telling.
            let at = text.find(&secret[..secret.len() - 3]);
            assert!(
                at.is_none(),
                "{secret} is in {place}: …{}…",
                &text[at.unwrap()..(at.unwrap() + 200).min(text.len())]
            );
        }
    }
    assert!(
        shown.iter().any(|(place, _)| place.starts_with("state/dead-letters")),
        "there are dead letters to look at"
    );
    assert!(shown.iter().any(|(place, _)| place.contains("journal")), "and journals");
}

/// M1, and G25: through errors, echoes, a reload, a restart and the commands, with every message shown.
#[test]
fn tokens_header_values_and_queries_are_shown_nowhere() {
    let [inline, file, plain] = [(); 3].map(|()| Receiver::start());
    let mut dead = Receiver::start();
    dead.stop();
    [&inline, &file, &plain].into_iter().for_each(hostile);
    let headers = format!(
        "headers: {{X-Key: {HEADER}}}\nretry: {{initial: 5ms, max: 20ms, probe: 30ms}}\nbatch: {{maxEvents: 8, maxAge: 10ms}}"
    );
    let with_query = |url: String| format!("{url}?key={QUERY}");
    let sidecar = following()
        .log_level("trace")
        .forwarder("inline", &with_query(inline.url()), &quick(&format!("token: \"${{SECRET}}\"\n{headers}")))
        .forwarder("file", &with_query(file.url()), &quick(&format!("tokenFile: \"{{dir}}/token\"\n{headers}")))
        .forwarder("plain", &plain.url(), &quick(&format!("framing: single\nbatch: {{maxAge: 10ms}}\nretry: {{initial: 5ms, max: 20ms, probe: 30ms}}\nheaders: {{Authorization: {HEADER}}}")))
        .forwarder("dead", &with_query(dead.url()), &quick(&headers))
        .forwarder("no-name", &format!("https://{}.localhost/?key={QUERY}", "a".repeat(64)), &quick(&headers))
        .forwarder("no-tls", &format!("https://{}/?key={QUERY}", plain.addr()), &quick(&format!("token: {TOKEN}\n{headers}")))
        .env("SECRET", TOKEN);
    fs::write(sidecar.path("token"), format!("{FILE_TOKEN}\n")).unwrap();
    sidecar.write_lines(LOG, 0..40);
    let mut sidecar = sidecar.start();
    for name in ["inline", "file", "plain"] {
        let metrics = sidecar.wait_settled(name, 40);
        assert!(metrics.events(name, "dead_lettered") >= 1, "{name}");
        assert!(metrics.all_requests(name) > 15, "{name} met few errors");
    }
    assert!(inline.deliveries().iter().all(|d| d.path.contains(QUERY) && d.header("x-key") == Some(HEADER)));
    for name in ["dead", "no-name", "no-tls"] {
        sidecar.wait_for_metrics("failures", |metrics| metrics.all_requests(name) >= 3);
    }
    sidecar.hup();
    sidecar.wait_for_log("reloaded: the configuration is the one that runs");
    let config = sidecar.config_path().display().to_string();
    let commands: [&[&str]; 4] = [
        &["check"],
        &["dead-letters", "list"],
        &["cursors", "list"],
        &["dead-letters", "replay", "--reason", "refused"],
    ];
    let outputs: Vec<(&str, String)> = commands
        .iter()
        .map(|command| {
            let args = [&command[..1], &["-c", &config], &command[1..]].concat();
            let (_, stdout, stderr) = sidecar.command(&args);
            (command[0], stdout + &stderr)
        })
        .collect();
    assert_nowhere(&sidecar, &outputs);
    let excerpts: Vec<String> =
        sidecar.dead_letters("inline").iter().map(|letter| letter["excerpt"].as_str().unwrap().to_owned()).collect();
    assert!(excerpts[0].contains("[redacted]"), "the echo was met: {excerpts:?}");
    sidecar.kill();
    sidecar.start_again();
    sidecar.write_lines(LOG, 40..45);
    sidecar.wait_settled("file", 5);
    assert_nowhere(&sidecar, &[]);
}
