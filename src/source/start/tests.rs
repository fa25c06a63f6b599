//! Sources of every kind, started and stopped.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream, UdpSocket, UnixStream},
    time::timeout,
};

use super::*;
use crate::{config, log::Segments};

/// What a configuration has of a source, with two forwarders of which nothing is known.
fn source(dir: &Path, keys: &str) -> Source {
    let yaml = format!(
        "sources: [{{name: app, {keys}}}]\nforwarders: [{{name: siem, uri: \"http://127.0.0.1:1/\"}}]\n",
        keys = keys.replace("{dir}", &dir.display().to_string())
    );
    let path = dir.join("config.yaml");
    fs::write(&path, yaml).unwrap();
    config::load(&path, &|_| None).unwrap().sources.remove(0)
}

fn setup<'a>(state_dir: &'a Path, knows_all: bool, tasks: &'a SourceTasks) -> SourceSetup<'a> {
    SourceSetup {
        state_dir,
        followers: vec!["siem".to_owned(), "archive".to_owned()],
        cursors: HashMap::new(),
        knows_all,
        pins: 8,
        alarms: Arc::default(),
        health: Arc::default(),
        tasks,
    }
}

const FILES: &str = "kind: file, include: [\"{dir}/*.log\"], scanInterval: 20ms";

/// The first segment that the log has, once there is something in it.
async fn first_segment(running: &RunningSource) -> SegmentId {
    let mut changes = running.log.changes();
    let arrived = |segments: &Segments| segments.first().is_some_and(|segment| segment.size() > 0);
    let arrived = timeout(Duration::from_secs(20), changes.wait_for(arrived));
    arrived.await.unwrap().unwrap()[0].id
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const EVENT: &str = "{\"n\":1}\n";

/// Sends one event to a source of this kind; files have theirs.
async fn send_event(kind: &str, dir: &Path, port: u16) {
    let addr = ("127.0.0.1", port);
    match kind {
        "unix" => UnixStream::connect(dir.join("a.sock")).await.unwrap().write_all(EVENT.as_bytes()).await.unwrap(),
        "tcp" => TcpStream::connect(addr).await.unwrap().write_all(EVENT.as_bytes()).await.unwrap(),
        "udp" => {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.send_to(EVENT.as_bytes(), addr).await.unwrap();
        }
        "http" => {
            let length = EVENT.len();
            let request =
                format!("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{EVENT}");
            TcpStream::connect(addr).await.unwrap().write_all(request.as_bytes()).await.unwrap();
        }
        _ => assert_eq!(kind, "file"),
    }
}

#[tokio::test]
async fn a_source_of_any_kind_has_its_followers_and_ends_with_its_stop_and_not_before() {
    let port = free_port();
    for (kind, keys) in [
        ("file", FILES.to_owned()),
        ("file", format!("{FILES}, spool: true")),
        ("unix", "kind: unix, path: \"{dir}/a.sock\"".to_owned()),
        ("tcp", format!("kind: tcp, listen: \"127.0.0.1:{port}\"")),
        ("udp", format!("kind: udp, listen: \"127.0.0.1:{port}\"")),
        ("http", format!("kind: http, listen: \"127.0.0.1:{port}\"")),
    ] {
        let tasks = SourceTasks::default();
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        fs::create_dir(&state_dir).unwrap();
        fs::write(dir.path().join("a.log"), "{\"n\":1}\n").unwrap();
        let setup = setup(&state_dir, true, &tasks);
        let health = setup.health.clone();
        let running = start(source(dir.path(), &keys), setup).unwrap();
        assert_eq!((running.log.name.as_ref(), running.stats.name()), ("app", "app"));
        let holders = running.log.release_gate.holders(SegmentId(1), 0, 1);
        assert_eq!(holders.into_iter().collect::<Vec<_>>(), ["archive", "siem"], "{keys}");
        send_event(kind, dir.path(), port).await;
        let first = if keys.contains("spool") { 1 << 32 } else { 1 };
        assert_eq!(first_segment(&running).await, SegmentId(first), "{keys}");
        assert!(!running.task.is_finished() && !running.ended.is_cancelled(), "{keys}");
        running.stop.cancel();
        timeout(Duration::from_secs(20), running.task).await.unwrap().unwrap();
        assert!(health.stuck().is_empty(), "{keys}: {:?}", health.stuck());
    }
}

#[tokio::test]
async fn where_not_all_followers_are_known_no_number_is_used_that_one_of_them_may_know() {
    for (keys, first) in [(FILES.to_owned(), 0), (format!("{FILES}, spool: true"), 1 << 32)] {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        fs::create_dir(&state_dir).unwrap();
        fs::write(dir.path().join("a.log"), "{\"n\":1}\n").unwrap();
        let running = start(source(dir.path(), &keys), setup(&state_dir, false, &SourceTasks::default())).unwrap();
        assert!(first_segment(&running).await >= SegmentId(first + (1 << 30)), "{keys}");
        running.stop.cancel();
        running.task.await.unwrap();
    }
}

#[tokio::test]
async fn where_nothing_can_be_sent_nothing_is_created() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = format!("kind: tcp, listen: \"{}\"", taken.local_addr().unwrap());
    let failed = start(source(dir.path(), &keys), setup(dir.path(), true, &SourceTasks::default())).err().unwrap();
    assert!(matches!(&failed, SourceStartError::Listen { .. }), "{failed}");
    assert!(failed.to_string().starts_with("source app: cannot listen on"), "{failed}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the configuration");
}
