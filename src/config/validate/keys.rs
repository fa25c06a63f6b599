//! Which keys belong to which kind of source: one that would be ignored is refused.

use super::super::{
    path::Path,
    report::Report,
    written::{self, SocketType, WrittenSourceKind as Kind},
};

const PUSHED: &[Kind] = &[Kind::Stdin, Kind::Unix, Kind::Tcp, Kind::Udp, Kind::Http];
const ALL: &[Kind] = &[Kind::File, Kind::Stdin, Kind::Unix, Kind::Tcp, Kind::Udp, Kind::Http];
const SPOOLED: &str = "stdin, unix, tcp, udp and http, and file with spool: true";
const TEXT: &[Kind] = &[Kind::File, Kind::Stdin, Kind::Unix, Kind::Tcp, Kind::Udp];
const HTTP: &[Kind] = &[Kind::Http];
const STREAMS: &[Kind] = &[Kind::Unix, Kind::Tcp];

/// Reports each key that says nothing to a source of this kind.
pub(super) fn check(written: &written::WrittenSource, kind: Kind, path: &Path, report: &mut Report) {
    let spooled = if written.spool == Some(true) { ALL } else { PUSHED };
    let keys: [(&str, bool, &[Kind], &str); 29] = [
        ("include", written.include.is_some(), &[Kind::File], "file"),
        ("exclude", written.exclude.is_some(), &[Kind::File], "file"),
        ("followLinks", written.follow_links.is_some(), &[Kind::File], "file"),
        ("startAt", written.start_at.is_some(), &[Kind::File], "file"),
        ("scanInterval", written.scan_interval.is_some(), &[Kind::File], "file"),
        ("sealAfter", written.seal_after.is_some(), &[Kind::File], "file"),
        ("holdDeleted", written.hold_deleted.is_some(), &[Kind::File], "file"),
        ("spool", written.spool.is_some(), &[Kind::File], "file"),
        ("sync", written.sync.is_some(), spooled, SPOOLED),
        ("maxBytes", written.max_bytes.is_some(), spooled, SPOOLED),
        ("onFull", written.on_full.is_some(), spooled, SPOOLED),
        ("format", written.format.is_some(), &[Kind::File], "file"),
        ("stream", written.stream.is_some(), &[Kind::File], "file"),
        ("onlyJson", written.only_json.is_some(), TEXT, "file, stdin, unix, tcp and udp"),
        ("listen", written.listen.is_some(), &[Kind::Tcp, Kind::Udp, Kind::Http], "tcp, udp and http"),
        ("path", written.path.is_some(), &[Kind::Unix, Kind::Http], "unix and http"),
        ("socketType", written.socket_type.is_some(), &[Kind::Unix], "unix"),
        ("mode", written.mode.is_some(), &[Kind::Unix], "unix"),
        ("allowUsers", written.allow_users.is_some(), &[Kind::Unix], "unix"),
        ("framing", written.framing.is_some(), &[Kind::Unix, Kind::Tcp, Kind::Udp], "unix, tcp and udp"),
        ("acks", written.acks.is_some(), STREAMS, "unix and tcp"),
        (
            "maxConnections",
            written.max_connections.is_some(),
            &[Kind::Unix, Kind::Tcp, Kind::Http],
            "unix, tcp and http",
        ),
        ("idleTimeout", written.idle_timeout.is_some(), STREAMS, "unix and tcp"),
        ("tls", written.tls.is_some(), &[Kind::Tcp, Kind::Http], "tcp and http"),
        ("token", written.token.is_some(), HTTP, "http"),
        ("tokenFile", written.token_file.is_some(), HTTP, "http"),
        ("hmac", written.hmac.is_some(), HTTP, "http"),
        ("signature", written.signature.is_some(), HTTP, "http"),
        ("maxBodyBytes", written.max_body_bytes.is_some(), HTTP, "http"),
    ];
    for (key, _, _, kinds) in keys.iter().filter(|(_, is_there, of, _)| *is_there && !of.contains(&kind)) {
        report.problem(&path.key(key), format!("has no effect: it is for sources of kind {kinds}"));
    }
    if kind == Kind::Unix && written.socket_type == Some(SocketType::Datagram) {
        let of_streams = [
            ("allowUsers", written.allow_users.is_some()),
            ("acks", written.acks.is_some()),
            ("maxConnections", written.max_connections.is_some()),
            ("idleTimeout", written.idle_timeout.is_some()),
        ];
        for (key, _) in of_streams.iter().filter(|(_, is_there)| *is_there) {
            report.problem(&path.key(key), "has no effect: datagrams come without a connection");
        }
    }
}
