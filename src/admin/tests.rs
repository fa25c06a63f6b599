//! The admin pages over a real connection.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use hyper::header::HeaderValue;
use jiff::Timestamp;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

use crate::health::ReadyCondition;

use super::{AdminServer, HEAD_TIMEOUT, Registry, may_ask, metrics, status::Status};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config,
    forwarder::stats::{ForwarderState, ForwarderStats, GapCause, Tally},
    source::stats::SourceStats,
};

fn registry() -> (Arc<Registry>, Arc<ForwarderStats>) {
    let now = Timestamp::now();
    let registry = Registry::new(now);
    let siem = Arc::new(ForwarderStats::new("siem", ["app", "db"], now));
    registry.set_forwarders(vec![siem.clone()]);
    registry.set_sources(vec![Arc::new(SourceStats::new("app"))]);
    (Arc::new(registry), siem)
}

async fn serve(registry: Arc<Registry>) -> (SocketAddr, CancellationToken) {
    let admin = config::Admin { listen: "127.0.0.1:0".parse().unwrap() };
    let server = AdminServer::bind(&admin, registry).await.unwrap();
    let (addr, stop) = (server.addr(), CancellationToken::new());
    tokio::spawn(server.run(stop.clone()));
    (addr, stop)
}

async fn ask(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn get(addr: SocketAddr, path: &str) -> String {
    ask(addr, &format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n")).await
}

#[tokio::test]
async fn the_pages_answer_and_nothing_else_does() {
    let (registry, siem) = registry();
    siem.set_state(ForwarderState::Held, Some("401".to_owned()), Timestamp::now());
    let (addr, stop) = serve(registry.clone()).await;

    assert!(get(addr, "/livez").await.starts_with("HTTP/1.1 200"));
    let ready = get(addr, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("sources: starting"));
    for condition in [ReadyCondition::Configuration, ReadyCondition::Sources, ReadyCondition::State] {
        registry.health.met(condition);
    }
    let ready = get(addr, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "a held peer is no reason: {ready}");

    let status = get(addr, "/status").await;
    let (_, json) = status.split_once("\r\n\r\n").unwrap();
    let status: Status = serde_json::from_str(json).unwrap();
    assert_eq!(status.forwarders[0].state, "held");

    let page = get(addr, "/").await;
    assert!(page.contains("content-security-policy: default-src 'none'"));
    assert!(page.contains("cache-control: no-store") && page.contains("nosniff"));
    let head = ask(addr, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"));

    let post = ask(addr, "POST /status HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"));
    assert!(get(addr, "/status/").await.starts_with("HTTP/1.1 404"));
    let rebound = ask(addr, "GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n").await;
    assert!(rebound.starts_with("HTTP/1.1 421") && !rebound.contains("siem"));
    assert!(ask(addr, "GET /livez HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 421"));

    stop.cancel();
    let closed = async {
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (addr, _stop) = serve(registry().0).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}", "a".repeat(20_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // It may be reset after the answer, because it did not read all that we sent.
    let end = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(HEAD_TIMEOUT - Duration::from_secs(1), end).await;
    assert!(ended.is_ok(), "it waited for more");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[test]
fn a_name_that_is_not_ours_may_not_ask() {
    for (host, listen, may) in [
        ("localhost:9600", "127.0.0.1", true),
        ("LOCALHOST.", "127.0.0.1", true),
        ("127.0.0.1:9600", "127.0.0.1", true),
        ("[::1]:9600", "::1", true),
        ("127.0.0.1.evil.example", "127.0.0.1", false),
        ("evil.example", "127.0.0.1", false),
        ("10.0.0.5:9600", "127.0.0.1", false),
        ("10.0.0.5:9600", "0.0.0.0", true),
        ("10.0.0.5:9600", "10.0.0.5", true),
        ("evil.example", "0.0.0.0", false),
        ("", "127.0.0.1", false),
    ] {
        let header = HeaderValue::from_static(host);
        assert_eq!(may_ask(&header, listen.parse().unwrap()), may, "{host}");
    }
}

/// The samples of one scrape by name and labels, as they are written.
fn samples(page: &str) -> BTreeMap<String, f64> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[test]
fn every_metric_of_the_documentation_is_there_with_its_labels() {
    let (registry, siem) = registry();
    let mut tally = Tally::default();
    tally.read(3, 300);
    tally.delivered(1);
    tally.gap(GapCause::Truncated, 77, false);
    tally.values_cut(5);
    siem.enter("app", &tally);
    siem.set_backlog("app", 512, Some(Timestamp::now()));
    siem.request("200", Duration::from_millis(20));
    siem.batch(3, 3000, 400);
    siem.succeeded(Timestamp::constant(1_700_000_000, 500_000_000));
    siem.set_state(ForwarderState::Open, None, Timestamp::now());
    let [app, pushed] = ["app", "pushed"].map(|name| Arc::new(SourceStats::new(name)));
    app.scanned(3, 4, 1);
    pushed.set_spool(700, 1000);
    registry.set_sources(vec![app, pushed]);
    registry.alarms.raise(
        &AlarmSubject::forwarder("siem"),
        AlarmKind::Held,
        "401 of https://siem.example.com",
        Timestamp::now(),
    );
    registry.health.met(ReadyCondition::State);
    let page = metrics::render(&registry).unwrap();
    assert!(page.ends_with("# EOF\n"));
    let samples = samples(&page);
    let app = r#"forwarder="siem",source="app""#;
    for (series, value) in [
        (format!("auditpost_events_read_total{{{app}}}"), 4.0),
        (format!("auditpost_bytes_read_total{{{app}}}"), 300.0),
        (format!(r#"auditpost_events_total{{{app},result="delivered"}}"#), 1.0),
        (format!(r#"auditpost_events_total{{{app},result="filtered"}}"#), 0.0),
        (format!(r#"auditpost_events_total{{{app},result="dead_lettered"}}"#), 0.0),
        (format!(r#"auditpost_events_total{{{app},result="gap"}}"#), 1.0),
        (format!("auditpost_events_in_flight{{{app}}}"), 2.0),
        (format!("auditpost_cef_values_cut_total{{{app}}}"), 5.0),
        (format!("auditpost_backlog_bytes{{{app}}}"), 512.0),
        (format!("auditpost_oldest_unsettled_age_seconds{{{app}}}"), 0.0),
        (r#"auditpost_last_success_timestamp_seconds{forwarder="siem"}"#.into(), 1_700_000_000.5),
        (r#"auditpost_forwarder_state{forwarder="siem",state="open"}"#.into(), 1.0),
        (r#"auditpost_forwarder_state{forwarder="siem",state="ready"}"#.into(), 0.0),
        (r#"auditpost_requests_total{forwarder="siem",code="200"}"#.into(), 1.0),
        (r#"auditpost_request_duration_seconds_bucket{le="0.025",forwarder="siem",code="200"}"#.into(), 1.0),
        (r#"auditpost_batch_events_sum{forwarder="siem"}"#.into(), 3.0),
        (r#"auditpost_batch_bytes_sum{forwarder="siem",kind="raw"}"#.into(), 3000.0),
        (r#"auditpost_batch_bytes_sum{forwarder="siem",kind="wire"}"#.into(), 400.0),
        (r#"auditpost_files_open{source="app"}"#.into(), 4.0),
        (r#"auditpost_files_matched{source="app"}"#.into(), 3.0),
        (r#"auditpost_truncations_total{source="app"}"#.into(), 1.0),
        (r#"auditpost_spool_bytes{source="pushed"}"#.into(), 700.0),
        (r#"auditpost_spool_limit_bytes{source="pushed"}"#.into(), 1000.0),
        (r#"auditpost_alarms{kind="held",object="forwarder siem"}"#.into(), 1.0),
        (r#"auditpost_ready{condition="state directory"}"#.into(), 1.0),
        (r#"auditpost_ready{condition="sources"}"#.into(), 0.0),
        ("auditpost_stuck_loops".into(), 0.0),
        (format!(r#"auditpost_build_info{{version="{}"}}"#, crate::VERSION), 1.0),
        ("auditpost_start_time_seconds".into(), registry.started.as_millisecond() as f64 / 1000.0),
    ] {
        assert_eq!(samples.get(&series), Some(&value), "{series} in\n{page}");
    }
    assert!(!page.contains("401 of"), "an alarm's text would make a series of each");
    for series in [r#"auditpost_files_matched{source="pushed"}"#, r#"auditpost_spool_bytes{source="app"}"#] {
        assert!(!samples.contains_key(series), "{series} is of another kind of source");
    }
}

/// Reads, settles, gives back and loses events at random until told to stop.
fn keep_busy(siem: &ForwarderStats, stop: &AtomicBool) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut in_flight = [0u64; 2];
    while !stop.load(Relaxed) {
        let which = random.usize(..2);
        let mut tally = Tally::default();
        let read = random.u64(..50);
        tally.read(read, read * 100);
        in_flight[which] += read;
        for settle in [Tally::delivered, Tally::filtered, Tally::dead_lettered] {
            let events = random.u64(..=in_flight[which]);
            settle(&mut tally, events);
            in_flight[which] -= events;
        }
        if random.u8(..) < 16 {
            tally.gap(GapCause::Detached, random.u64(..10_000), false);
        }
        siem.enter(["app", "db"][which], &tally);
    }
}

#[test]
fn the_books_balance_in_every_scrape_while_events_move() {
    let (registry, siem) = registry();
    let stop = Arc::new(AtomicBool::new(false));
    let busy = {
        let (siem, stop) = (siem.clone(), stop.clone());
        thread::spawn(move || keep_busy(&siem, &stop))
    };
    let mut last_read = BTreeMap::new();
    for _ in 0..300 {
        let samples = samples(&metrics::render(&registry).unwrap());
        for source in ["app", "db"] {
            let labels = format!(r#"forwarder="siem",source="{source}""#);
            let read = samples[&format!("auditpost_events_read_total{{{labels}}}")];
            let in_flight = samples[&format!("auditpost_events_in_flight{{{labels}}}")];
            let settled: f64 = ["delivered", "filtered", "dead_lettered", "gap"]
                .iter()
                .map(|result| samples[&format!(r#"auditpost_events_total{{{labels},result="{result}"}}"#)])
                .sum();
            assert_eq!(read, settled + in_flight, "{source}: {samples:#?}");
            let before = last_read.insert(source, read).unwrap_or(0.0);
            assert!(read >= before, "a counter went down");
        }
    }
    stop.store(true, Relaxed);
    busy.join().unwrap();
    assert!(last_read["app"] > 0.0, "nothing moved");
}
