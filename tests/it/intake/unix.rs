//! Unix sockets: their files, and who may connect.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixDatagram, UnixListener, UnixStream},
    },
};

use super::{arrived, with_source};
use crate::{events::lines, receiver::Receiver, tools};

const UNIX: &str = "kind: unix\npath: \"{dir}/a.sock\"";

// J16, J18
#[test]
fn a_stale_socket_is_replaced_a_removed_one_bound_again_and_others_are_left_alone() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(UNIX, &receiver);
    let path = sidecar.path("a.sock");
    fs::write(&path, "precious").unwrap();
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    let live = UnixListener::bind(&path).unwrap();
    sidecar.start_again();
    assert_eq!(sidecar.wait(), 73);
    assert!(sidecar.stderr().contains("another process listens on it"), "{}", sidecar.stderr());
    drop(live);
    sidecar.start_again();
    sidecar.wait_for_log("taking events");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    UnixStream::connect(&path).unwrap().write_all(lines(0..1).as_bytes()).unwrap();
    receiver.wait_for_lines(1);
    sidecar.kill();
    sidecar.start_again();
    sidecar.wait_for_log("taking events");
    fs::remove_file(&path).unwrap();
    sidecar.wait_for_alarm("file", "it is bound again");
    UnixStream::connect(&path).unwrap().write_all(lines(1..2).as_bytes()).unwrap();
    receiver.wait_for_lines(2);
    sidecar.stop_drained();
    assert!(!path.exists(), "it goes with the process");
}

// J17
#[test]
fn a_user_who_is_not_allowed_is_turned_away() {
    let receiver = Receiver::start();
    let keys = format!("{UNIX}\nmaxConnections: 1\nallowUsers: [\"64999\"]");
    let sidecar = with_source(&keys, &receiver).start();
    sidecar.wait_for_log("taking events");
    let mut stream = UnixStream::connect(sidecar.path("a.sock")).unwrap();
    let _ = stream.write_all(lines(0..1).as_bytes());
    assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0);
    sidecar.wait_for_log("is not among allowUsers");
    assert_eq!(sidecar.times_said("maxConnections is reached"), 0, "it takes nobody's place");
    assert_eq!(receiver.accepted_lines().len(), 0);
}

// J17: by the uid that the kernel tells, whatever the file's permissions let through.
#[test]
fn the_users_who_are_allowed_are_heard_and_no_other() {
    let receiver = Receiver::start();
    let own = rustix::process::geteuid().as_raw();
    let keys = format!("{UNIX}\nmode: \"0666\"\nacks: true\nallowUsers: [\"{own}\", \"64998\"]");
    let sidecar = with_source(&keys, &receiver).start();
    sidecar.wait_for_log("taking events");
    let mut stream = UnixStream::connect(sidecar.path("a.sock")).unwrap();
    stream.write_all(lines(0..1).as_bytes()).unwrap();
    let mut ack = [0; 5];
    stream.read_exact(&mut ack).unwrap();
    assert_eq!(&ack, b"ok 1\n");
    let script = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or exit 3; local $SIG{PIPE} = 'IGNORE'; \
                  print $s $ARGV[1]; $s->flush; exit(defined(scalar <$s>) ? 0 : 4)";
    fs::set_permissions(sidecar.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let socket = sidecar.path("a.sock").display().to_string();
    let as_user = |uid: &str, n: u64| {
        let (user, group, line) = (format!("--reuid={uid}"), format!("--regid={uid}"), lines(n..n + 1));
        let words = ["setpriv", &user, &group, "--clear-groups", "perl", "-e", script, &socket, &line];
        std::process::Command::new(words[0]).args(&words[1..]).status().ok().and_then(|status| status.code())
    };
    if !tools::works(&[
        "setpriv",
        "--reuid=64998",
        "--regid=64998",
        "--clear-groups",
        "perl",
        "-MIO::Socket::UNIX",
        "-e",
        "1",
    ]) {
        return tools::skipped("the_users_who_are_allowed_are_heard_and_no_other", "it needs root, setpriv and perl");
    }
    assert_eq!(as_user("64998", 1), Some(0));
    assert_eq!(as_user("64997", 2), Some(4));
    sidecar.wait_for_log("user 64997 is not among allowUsers");
    receiver.wait_for_lines(2);
    assert_eq!(arrived(&receiver), [0, 1]);
    let refused = sidecar.metrics().sum("auditpost_source_refused_total", &[("reason", "user")]);
    assert_eq!(refused, 1.0);
}

#[test]
fn datagrams_of_a_unix_socket_are_events() {
    let receiver = Receiver::start();
    let mut sidecar = with_source(&format!("{UNIX}\nsocketType: datagram"), &receiver).start();
    sidecar.wait_for_log("taking events");
    let socket = UnixDatagram::unbound().unwrap();
    for line in lines(0..1000).lines() {
        socket.send_to(line.as_bytes(), sidecar.path("a.sock")).unwrap();
    }
    receiver.wait_for_lines(1000);
    assert_eq!(arrived(&receiver), (0..1000).collect::<Vec<_>>());
    assert_eq!(sidecar.stop(), 0);
}
