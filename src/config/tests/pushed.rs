//! Sources that hand their events over.

use std::time::Duration;

use super::*;
use crate::config::{
    OnFull, SourceFraming, SourceKind, SpoolKeys, StdinSource, StreamLimits, SyncPolicy, UdpSource, UnixSocket,
};

/// A configuration whose one source has `more`, from line 4 on.
fn pushed(more: &str) -> String {
    let more = more.replace('\n', "\n  ");
    format!("forwarders: [{{uri: \"https://siem.test/x\"}}]\nsources:\n- name: a\n  {more}\n")
}

#[track_caller]
fn kind(more: &str) -> SourceKind {
    let config = load(&pushed(more)).unwrap_or_else(|problems| panic!("{problems}"));
    config.sources[0].kind.clone()
}

const SPOOL: SpoolKeys = SpoolKeys { sync: SyncPolicy::Always, max_bytes: 256 << 20, on_full: OnFull::Block };

#[test]
fn the_defaults_are_those_of_the_schema() {
    assert_eq!(kind("kind: stdin"), SourceKind::Stdin(StdinSource { spool: SPOOL }));
    let limits = StreamLimits { acks: false, max_connections: 1000, idle_timeout: Duration::from_secs(300) };
    let SourceKind::Tcp(tcp) = kind("kind: tcp\nlisten: \"[::1]:5140\"") else { panic!("no tcp") };
    assert_eq!((tcp.limits, tcp.framing, tcp.tls), (limits, SourceFraming::Lines, None));
    let SourceKind::Unix(unix) = kind("kind: unix\npath: /run/a.sock") else { panic!("no unix") };
    assert_eq!((unix.mode, unix.socket), (0o660, UnixSocket::Stream(limits)));
    assert_eq!(
        kind("kind: udp\nlisten: 127.0.0.1:514\nsync: never\nmaxBytes: 1MiB\nframing: syslog"),
        SourceKind::Udp(UdpSource {
            spool: SpoolKeys { sync: SyncPolicy::Never, max_bytes: 1 << 20, on_full: OnFull::Block },
            listen: "127.0.0.1:514".parse().expect("an address"),
            framing: SourceFraming::Syslog,
        })
    );
}

#[test]
fn files_may_have_a_spool_and_its_keys() {
    let file = |more: &str| match kind(&format!("include: [/a]\n{more}")) {
        SourceKind::File(file) => file,
        other => panic!("{other:?}"),
    };
    assert_eq!((file("spool: false").spool, file("spool: true").spool), (None, Some(SPOOL)));
    let keys = SpoolKeys { sync: SyncPolicy::Interval, max_bytes: 2 << 20, ..SPOOL };
    assert_eq!(file("spool: true\nsync: interval\nmaxBytes: 2MiB\nonFull: block").spool, Some(keys));
    assert_eq!(file("spool: false").hold_deleted, Duration::from_secs(60));
    assert_eq!(file("holdDeleted: 0s").hold_deleted, Duration::ZERO);
}

#[test]
fn a_full_spool_blocks_or_detaches_above_a_quarter_or_what_is_said() {
    for (written, on_full) in [
        ("onFull: block", OnFull::Block),
        ("onFull: detach", OnFull::Detach { after: 64 << 20 }),
        ("onFull: {detach: {}}", OnFull::Detach { after: 64 << 20 }),
        ("onFull: {detach: {}}\nmaxBytes: 1MiB", OnFull::Detach { after: 256 << 10 }),
        ("onFull: {detach: {after: 512KiB}}\nmaxBytes: 1MiB", OnFull::Detach { after: 512 << 10 }),
        ("onFull: {detach: {after: 64KiB}}", OnFull::Detach { after: 64 << 10 }),
    ] {
        let keys = kind(&format!("kind: stdin\n{written}")).spool().expect("it has a spool");
        assert_eq!(keys.on_full, on_full, "{written}");
    }
}

#[test]
fn a_key_of_another_kind_is_refused() {
    each_has_one_problem(
        pushed,
        &[
            ("kind: stdin\ninclude: [/a]", "5:12: sources[0].include: has no effect: it is for sources of kind file"),
            (
                "kind: stdin\nholdDeleted: 1m",
                "5:16: sources[0].holdDeleted: has no effect: it is for sources of kind file",
            ),
            (
                "include: [/a]\nspool: false\nmaxBytes: 1MiB",
                "6:13: sources[0].maxBytes: has no effect: it is for sources of kind stdin, unix, tcp, udp and http, and file with spool: true",
            ),
            (
                "include: [/a]\nsync: always",
                "5:9: sources[0].sync: has no effect: it is for sources of kind stdin, unix, tcp, udp and http, and file with spool: true",
            ),
            (
                "kind: udp\nlisten: 127.0.0.1:1\nacks: true",
                "6:9: sources[0].acks: has no effect: it is for sources of kind unix and tcp",
            ),
            (
                "kind: unix\npath: /a.sock\nsocketType: datagram\nacks: true",
                "7:9: sources[0].acks: has no effect: datagrams come without a connection",
            ),
        ],
    );
}

#[test]
fn values_without_sense_are_refused() {
    each_has_one_problem(
        pushed,
        &[
            ("kind: stdin\nmaxBytes: 1MB", "5:13: sources[0].maxBytes: \"1MB\" is too little: 1MiB is the least"),
            (
                "kind: tcp\nlisten: localhost",
                "5:11: sources[0].listen: \"localhost\" is no address and port; write such as 127.0.0.1:5140, or 0.0.0.0:5140 for every interface",
            ),
            (
                "kind: unix\npath: /a.sock\nmode: \"0066\"",
                "6:9: sources[0].mode: \"0066\" is no mode of a socket: write octal digits that let the owner in, such as \"0660\"",
            ),
            (
                "kind: stdin\nonFull: {detach: {after: 63KiB}}",
                "5:28: sources[0].onFull.detach.after: \"63KiB\" is too little: 64KiB is the least",
            ),
            (
                "kind: stdin\nmaxBytes: 1MiB\nonFull: {detach: {after: 513KiB}}",
                "6:28: sources[0].onFull.detach.after: \"513KiB\" is too much: half of maxBytes (512KiB) is the most",
            ),
            ("kind: stdin\nonFull: {}", "5:11: sources[0].onFull.detach: is missing"),
            ("kind: unix", "3:3: sources[0].path: is missing: the file of the socket to listen on"),
            (
                "kind: unix\npath: /a.sock\nallowUsers: []",
                "6:15: sources[0].allowUsers: is empty: nobody could connect; leave the key out to let in whoever may open the socket",
            ),
        ],
    );
}

#[test]
fn standard_input_is_read_once() {
    let text = "forwarders: [{uri: \"https://s.test\"}]\nsources: [{name: a, kind: stdin}, {name: b, kind: stdin}]\n";
    let what = "is a second source that reads standard input: there is one";
    assert_eq!(complaints(text), [format!("2:51: sources[1].kind: {what}")]);
}
