//! `auditpost receive`, as an operator uses it.

use std::{
    io::{BufRead, BufReader, Read},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{events, http, receiver::PATIENCE, sidecar::Sidecar};

const PROGRAM: &str = env!("CARGO_BIN_EXE_auditpost");

struct Receive {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    addr: String,
}

impl Receive {
    fn start(args: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), args)
    }

    fn start_by(mut command: Command, args: &[&str]) -> Self {
        let mut child =
            command.args(["receive", "--listen", "127.0.0.1:0"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Self { child, stdout: Some(stdout), addr }
    }

    fn post(&self, body: &str) -> u16 {
        http::post(self.addr.parse().unwrap(), "/", body.as_bytes()).unwrap()
    }

    fn interrupt(&mut self) -> (i32, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let mut rest = String::new();
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_string(&mut rest).unwrap();
        }
        (self.child.wait().unwrap().code().unwrap(), rest)
    }
}

impl Drop for Receive {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_shows_events_and_sums_up_when_it_is_interrupted() {
    let mut receive = Receive::start(&["--fail", "503:1", "--reject-line", "evt-0000000007"]);
    assert_eq!(receive.post(&events::lines(0..2)), 503);
    assert_eq!(receive.post(&events::lines(0..2)), 200);
    assert_eq!(receive.post(&events::lines(6..9)), 400);
    let (status, shown) = receive.interrupt();
    assert_eq!(status, 0);
    assert!(shown.contains(&format!("login {}", events::event(0))), "{shown}");
    assert!(!shown.contains('\x1b'), "colours without a terminal");
    let summary = "3 requests, 2 events accepted, 0 duplicate batches, 2 requests not accepted";
    assert!(shown.ends_with(&format!("{summary}\n")), "{shown}");
}

#[test]
fn a_closed_standard_output_ends_it_without_a_panic() {
    let mut receive = Receive::start(&[]);
    receive.stdout = None;
    // It may end before it has answered.
    let _ = http::post(receive.addr.parse().unwrap(), "/", b"one\n");
    assert_eq!(receive.child.wait().unwrap().code(), Some(0));
}

// J26
#[test]
fn too_many_open_files_let_senders_wait_and_are_told_once() {
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 30; exec \"$@\"", "sh", PROGRAM]).stderr(Stdio::piped());
    let mut receive = Receive::start_by(limited, &[]);
    let mut stderr = BufReader::new(receive.child.stderr.take().unwrap());
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let (mut first, mut rest) = (String::new(), String::new());
        stderr.read_line(&mut first).unwrap();
        tell.send(first).unwrap();
        stderr.read_to_string(&mut rest).unwrap();
        tell.send(rest).unwrap();
    });
    let clients: Vec<_> = (0..40).map(|_| TcpStream::connect(&receive.addr).unwrap()).collect();
    let first = told.recv_timeout(PATIENCE).unwrap();
    assert!(first.contains("senders wait; raise the limit of open files"), "{first}");
    drop(clients);
    assert_eq!(receive.post(&events::lines(0..2)), 200);
    assert_eq!(receive.interrupt().0, 0);
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "", "it is told once");
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let (status, _, stderr) = Sidecar::new().command(&["receive", "--listen", &addr.to_string()]);
    assert_eq!(status, 73);
    assert!(stderr.contains(&format!("port {}", addr.port())), "{stderr}");
}

#[test]
fn a_fault_that_is_none_is_refused() {
    let (status, _, stderr) = Sidecar::new().command(&["receive", "--fail", "503"]);
    assert_eq!(status, 64);
    assert!(stderr.contains("as in 503:3"), "{stderr}");
}

#[test]
fn status_says_when_nothing_listens() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let (status, stdout, stderr) = Sidecar::new().command(&["status", "--admin", &url]);
    assert_eq!((status, stdout.as_str()), (74, ""));
    assert!(stderr.contains(&url) && stderr.contains("refused"), "{stderr}");
}
