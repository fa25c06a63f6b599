//! The receiver that `docs/siem.md` shows is run as it stands there.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use super::{fenced, page};
use crate::{
    http,
    sidecar::Sidecar,
    tools::{skipped, works},
};

struct Shown {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shown {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [script] = fenced(&page("siem.md"), "python").try_into().expect("there is one receiver");
        std::fs::write(dir.path().join("receiver.py"), script).unwrap();
        let mut child = Command::new("python3")
            .arg("receiver.py")
            .current_dir(dir.path())
            .envs([("TOKEN", "t0ken"), ("PORT", "0")])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { child, port, dir }
    }

    /// The stored events, in order.
    fn events(&self) -> Vec<String> {
        let ask = "import sqlite3\nfor (event,) in sqlite3.connect('audit.db').execute('SELECT event FROM events \
                   ORDER BY rowid'): print(event.decode())";
        let output = Command::new("python3").args(["-c", ask]).current_dir(self.dir.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// The status for a request.
    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        let mut head =
            format!("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(&[format!("{head}\r\n").as_bytes(), body].concat()).unwrap();
        http::read_answer(&mut BufReader::new(stream)).unwrap().0
    }
}

#[test]
fn the_receiver_that_the_page_shows_stores_each_batch_once() {
    let test = "the_receiver_that_the_page_shows_stores_each_batch_once";
    if !works(&["python3", "-c", "import sqlite3"]) {
        return skipped(test, "there is no python3");
    }
    let receiver = Shown::start();
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    let sidecar = Sidecar::new().file_source("app", "logs/*.ndjson").forwarder(
        "siem",
        &url,
        "token: t0ken\nbatch: {maxEvents: 7, maxAge: 50ms}",
    );
    sidecar.write_lines("logs/audit.ndjson", 0..50);
    let mut sidecar = sidecar.start();
    sidecar.wait_for_metrics("50 delivered events", |metrics| metrics.events("siem", "delivered") == 50);
    assert_eq!(sidecar.stop(), 0);
    let written = std::fs::read_to_string(sidecar.path("logs/audit.ndjson")).unwrap();
    assert_eq!(receiver.events(), written.lines().collect::<Vec<_>>(), "byte for byte, in order");

    let identity = [("authorization", "Bearer t0ken"), ("auditpost-forwarder", "siem"), ("auditpost-batch", "99")];
    let request = |extra: &[(&'static str, &'static str)]| [&identity[..], extra].concat();
    let batch = request(&[("webhook-id", "b99"), ("auditpost-events", "2")]);
    assert_eq!(receiver.post(&batch, b"{\"a\":1}\n{\"a\":2}\n"), 200);
    assert_eq!(receiver.post(&batch, b"{\"a\":1}\n{\"a\":2}\n"), 200, "the same again");
    assert_eq!(receiver.events().len(), 52);
    assert_eq!(receiver.post(&batch, b"{\"a\":1}\n"), 503, "cut");
    assert_eq!(receiver.post(&batch, b"\x1f\x8bnot gzip"), 503);
    let stranger = [("authorization", "Bearer other"), ("webhook-id", "b100"), ("auditpost-events", "1")];
    assert_eq!(receiver.post(&stranger, b"{\"a\":3}\n"), 401);
    assert_eq!(receiver.events().len(), 52);
}
