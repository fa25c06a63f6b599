//! The server over real connections, on a real spool.
#![allow(clippy::unwrap_used, reason = "a test")]

mod auth;
mod limits;
mod repeats;
mod taking;

use std::{
    collections::{BTreeMap, HashMap},
    io::Write as _,
    path::Path,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinHandle,
};

use super::*;
use crate::{
    config::{OnFull, Schema, Senders, SourceKind, SpoolKeys, SyncPolicy},
    health::ProcessHealth,
    log::{
        ItemKind, Log, Reader, Take,
        spool::{Limits, Spool},
    },
    source::spool::SpoolTask,
};

/// Short ones, so that tests are.
const TIMES: Times = Times {
    head: Duration::from_millis(300),
    idle: Duration::from_millis(300),
    body: Duration::from_secs(5),
    drain: Duration::from_secs(1),
    grace: Duration::from_secs(5),
};

struct Running {
    addr: SocketAddr,
    log: Log,
    stats: Arc<SourceStats>,
    stop: CancellationToken,
    server: JoinHandle<()>,
    stop_spool: CancellationToken,
    spool: JoinHandle<()>,
}

fn config() -> HttpIntake {
    HttpIntake { path: None, max_body_bytes: 1 << 20, max_connections: 100, senders: Senders::default() }
}

async fn start(dir: &Path) -> Running {
    start_with(dir, config(), 100 << 20).await
}

async fn start_with(dir: &Path, config: HttpIntake, spool_bytes: u64) -> Running {
    let catalog = dir.join("sources/app/catalog");
    let limits = Limits { segment: 1000, total: spool_bytes };
    let spool = Spool::open("app", &dir.join("spool/app"), &catalog, limits, &HashMap::new()).unwrap();
    let log = spool.log().clone();
    log.release_gate.add_follower("siem");
    let pulse = Arc::new(ProcessHealth::default()).pulse("source app");
    let (task, intake) =
        SpoolTask::new(spool, SyncPolicy::Always, Arc::default(), Arc::new(SourceStats::new("app")), pulse);
    let stop_spool = CancellationToken::new();
    let spool = tokio::spawn(task.run(stop_spool.clone()));
    let spool_keys = SpoolKeys { sync: SyncPolicy::Always, max_bytes: spool_bytes, on_full: OnFull::Block };
    let http = HttpSource { spool: spool_keys, listen: "127.0.0.1:0".parse().unwrap(), tls: None, intake: config };
    let source = Source {
        name: "app".to_owned(),
        kind: SourceKind::Http(http.clone()),
        schema: Schema::Auto,
        fields: Vec::new(),
        max_event_bytes: 1 << 20,
        only_json: false,
    };
    let server = HttpServer::open(&source, &http, None, &dir.join("sources/app")).unwrap();
    let addr = server.addr().unwrap();
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let stats = Arc::new(SourceStats::new("app"));
    let spool_writer = SpoolWriter::new(&source, intake, stats.clone(), Arc::default());
    let server = tokio::spawn(async move {
        server.run_with(spool_writer, stopping, TIMES).await;
    });
    Running { addr, log, stats, stop, server, stop_spool, spool }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.server.await.unwrap();
        self.stop_spool.cancel();
        self.spool.await.unwrap();
    }

    /// What is in the spool.
    fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        Reader::new(self.log.clone(), 10_000_000, BTreeMap::new()).read(usize::MAX, &mut |item| {
            if let ItemKind::Line(bytes) = item.kind {
                lines.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Take::More
        });
        lines
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// One request on a connection of its own; `headers` are lines that end with CRLF.
    async fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answered {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    async fn post(&self, headers: &str, body: impl AsRef<[u8]>) -> Answered {
        self.send("POST", "/", headers, body.as_ref()).await
    }

    /// Writes bytes and reads up to the end of the connection.
    async fn raw(&self, bytes: &[u8]) -> Answered {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }
}

/// What came back on a connection.
#[derive(Debug)]
struct Answered {
    text: String,
}

impl Answered {
    fn status(&self) -> u16 {
        self.text.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {self:?}")).parse().unwrap()
    }

    fn has(&self, text: &str) -> bool {
        self.text.to_ascii_lowercase().contains(&text.to_ascii_lowercase())
    }
}

async fn read_to_end(stream: &mut TcpStream) -> Answered {
    let mut bytes = Vec::new();
    let read = time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes));
    let _ = read.await.expect("the connection ends");
    Answered { text: String::from_utf8(bytes).unwrap() }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
