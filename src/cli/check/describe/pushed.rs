//! Sources that hand their events over, in words.

use std::fmt;

use super::{count, line};
use crate::config::{
    HttpIntake, HttpSource, OnFull, Senders, SourceFraming, SourceKind, SpoolKeys, StreamLimits, SyncPolicy,
    UnixSocket, size_text,
};

pub(super) fn describe(kind: &SourceKind, out: &mut String) -> fmt::Result {
    match kind {
        SourceKind::File(_) => {}
        SourceKind::Stdin(_) => {
            line(out, "reads", "standard input; its end ends the run where no other source is left")?
        }
        SourceKind::Unix(source) => {
            let path = source.path.display();
            match source.socket {
                UnixSocket::Stream(limits) => {
                    line(out, "listens", format_args!("on the socket {path}, mode {:04o}", source.mode))?;
                    if !source.allow_users.is_empty() {
                        line(out, "users", source.allow_users.join(", "))?;
                    }
                    self::limits(&limits, out)?;
                }
                UnixSocket::Datagram => {
                    line(
                        out,
                        "listens",
                        format_args!("for datagrams on the socket {path}, mode {:04o}", source.mode),
                    )?;
                }
            }
            framing(source.framing, out)?;
        }
        SourceKind::Tcp(source) => {
            let how = match &source.tls {
                None => "",
                Some(tls) if tls.client_ca_file.is_some() => " with TLS and client certificates",
                Some(_) => " with TLS",
            };
            line(out, "listens", format_args!("on tcp {}{how}", source.listen))?;
            limits(&source.limits, out)?;
            framing(source.framing, out)?;
        }
        SourceKind::Udp(source) => {
            line(out, "listens", format_args!("on udp {}, best effort", source.listen))?;
            framing(source.framing, out)?;
        }
        SourceKind::Http(source) => http(source, out)?,
    }
    kind.spool().map_or(Ok(()), |keys| spool(keys, out))
}

fn http(source: &HttpSource, out: &mut String) -> fmt::Result {
    let HttpIntake { path, max_body_bytes, max_connections, senders } = &source.intake;
    let path = path.as_deref().unwrap_or(", any path");
    let (scheme, how) = match &source.tls {
        None => ("http", ""),
        Some(tls) if tls.client_ca_file.is_some() => ("https", ", with client certificates"),
        Some(_) => ("https", ""),
    };
    line(out, "listens", format_args!("on {scheme}://{}{path}{how}", source.listen))?;
    let body = size_text(*max_body_bytes as u64);
    line(
        out,
        "clients",
        format_args!("at most {}, bodies of at most {body}", count(*max_connections, "connection")),
    )?;
    let Senders { token, hmac, signature } = senders;
    let ways = [
        ("a bearer token", token.is_some()),
        ("an HMAC of the body", hmac.is_some()),
        ("a signature of Standard Webhooks", signature.is_some()),
    ];
    let ways: Vec<_> = ways.into_iter().filter(|(_, set)| *set).map(|(way, _)| way).collect();
    let shown = if ways.is_empty() { "nothing: whoever can connect".to_owned() } else { ways.join(" and ") };
    line(out, "senders", format_args!("show {shown}"))
}

fn limits(limits: &StreamLimits, out: &mut String) -> fmt::Result {
    let acks = if limits.acks { "acknowledged" } else { "not acknowledged" };
    let most = count(limits.max_connections, "connection");
    line(out, "clients", format_args!("at most {most}, idle for {:?}, {acks}", limits.idle_timeout))
}

fn framing(framing: SourceFraming, out: &mut String) -> fmt::Result {
    let framing = match framing {
        SourceFraming::Lines => "lines",
        SourceFraming::Syslog => "syslog, the message is the event",
    };
    line(out, "framing", framing)
}

fn spool(keys: SpoolKeys, out: &mut String) -> fmt::Result {
    let sync = match keys.sync {
        SyncPolicy::Always => "always",
        SyncPolicy::Interval => "every second",
        SyncPolicy::Never => "never",
    };
    line(out, "spool", format_args!("at most {}, synced {sync}", size_text(keys.max_bytes)))?;
    match keys.on_full {
        OnFull::Block => line(out, "when full", "nothing is taken until there is room"),
        OnFull::Detach { after } => {
            let after = size_text(after);
            line(out, "when full", format_args!("who holds more than {after} gives up the oldest, as a recorded gap"))
        }
    }
}
