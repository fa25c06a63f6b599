//! The rules of sources that hand their events over.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    super::{
        ClientCertificate, OnFull, SourceFraming, SourceKind, SourceTls, SpoolKeys, StdinSource, StreamLimits,
        SyncPolicy, TcpSource, UdpSource, UnixSocket, UnixSource,
        path::Path,
        report::Report,
        size_text,
        written::{self, Detach, OnFullForm, OnFullWord, SocketType},
    },
    address, positive,
};

const MAX_BYTES: u64 = 256 << 20;
const LEAST_MAX_BYTES: u64 = 1 << 20;
/// Less would be given up by forwarders that are merely busy.
const LEAST_AFTER: u64 = 64 << 10;
const MODE: u32 = 0o660;
const MAX_CONNECTIONS: u32 = 1000;
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// The kernel takes no longer name of a socket, and we need some for a name beside it.
const LONGEST_PATH: usize = 90;

pub(super) fn stdin(written: &written::WrittenSource, path: &Path, report: &mut Report) -> SourceKind {
    SourceKind::Stdin(StdinSource { spool: spool(written, path, report) })
}

pub(super) fn tcp(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<SourceKind> {
    let spool = spool(written, path, report);
    let limits = limits(written, path, report);
    let tls = tls(written)?;
    let listen = listen(written, path, report)?;
    Some(SourceKind::Tcp(TcpSource { spool, listen, framing: framing(written), limits, tls }))
}

pub(super) fn udp(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<SourceKind> {
    let spool = spool(written, path, report);
    let listen = listen(written, path, report)?;
    Some(SourceKind::Udp(UdpSource { spool, listen, framing: framing(written) }))
}

pub(super) fn unix(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<SourceKind> {
    let spool = spool(written, path, report);
    let limits = limits(written, path, report);
    let mode = mode(written.mode.as_deref(), &path.key("mode"), report);
    let socket = match written.socket_type.unwrap_or(SocketType::Stream) {
        SocketType::Stream => UnixSocket::Stream(limits),
        SocketType::Datagram => UnixSocket::Datagram,
    };
    let allow_users = written.allow_users.clone().unwrap_or_default();
    super::refuse_empty(
        written.allow_users.as_deref(),
        &path.key("allowUsers"),
        "is empty: nobody could connect; leave the key out to let in whoever may open the socket",
        report,
    );
    let path = socket_path(written.path.as_ref(), &path.key("path"), report)?;
    Some(SourceKind::Unix(UnixSource { spool, path, mode, allow_users, socket, framing: framing(written) }))
}

/// `None` where a file is missing, which is told elsewhere.
pub(super) fn tls(written: &written::WrittenSource) -> Option<Option<SourceTls>> {
    let Some(tls) = &written.tls else { return Some(None) };
    let server = ClientCertificate { cert_file: tls.cert_file.clone()?, key_file: tls.key_file.clone()? };
    Some(Some(SourceTls { server, client_ca_file: tls.client_ca_file.clone() }))
}

/// How the spool of such a source is kept.
pub(super) fn spool(written: &written::WrittenSource, path: &Path, report: &mut Report) -> SpoolKeys {
    let key = path.key("maxBytes");
    let max_bytes = written.max_bytes.map_or(MAX_BYTES, |size| size.0);
    if max_bytes < LEAST_MAX_BYTES {
        report.problem(&key, format!("{} is too little: 1MiB is the least", report.written(&key)));
    }
    let sync = match written.sync.unwrap_or(written::Sync::Always) {
        written::Sync::Always => SyncPolicy::Always,
        written::Sync::Interval => SyncPolicy::Interval,
        written::Sync::Never => SyncPolicy::Never,
    };
    let on_full = on_full(written.on_full, max_bytes, &path.key("onFull"), report);
    SpoolKeys { sync, max_bytes, on_full }
}

fn on_full(written: Option<written::WrittenOnFull>, max_bytes: u64, path: &Path, report: &mut Report) -> OnFull {
    let after = match written {
        None | Some(written::WrittenOnFull::Word(OnFullWord::Block)) => return OnFull::Block,
        Some(written::WrittenOnFull::Word(OnFullWord::Detach)) => None,
        Some(written::WrittenOnFull::Long(OnFullForm { detach })) => detach.and_then(|Detach { after }| after),
    };
    let Some(written::Size(after)) = after else { return OnFull::Detach { after: max_bytes / 4 } };
    let key = path.key("detach").key("after");
    if after < LEAST_AFTER {
        report.problem(&key, format!("{} is too little: 64KiB is the least", report.written(&key)));
    } else if after > max_bytes / 2 {
        let most = size_text(max_bytes / 2);
        let what = format!("{} is too much: half of maxBytes ({most}) is the most", report.written(&key));
        report.problem(&key, what);
    }
    OnFull::Detach { after }
}

/// The address that such a source listens on.
pub(super) fn listen(written: &written::WrittenSource, path: &Path, report: &mut Report) -> Option<SocketAddr> {
    let path = path.key("listen");
    match &written.listen {
        Some(listen) => address(listen, "5140", &path, report),
        None => {
            report.problem(&path, "is missing: the address and port to listen on, such as 127.0.0.1:5140");
            None
        }
    }
}

fn socket_path(written: Option<&PathBuf>, path: &Path, report: &mut Report) -> Option<PathBuf> {
    let Some(socket) = written else {
        report.problem(path, "is missing: the file of the socket to listen on");
        return None;
    };
    if socket.file_name().is_none() {
        report.problem(path, "names no file: it must be the path of a socket");
    } else if socket.as_os_str().len() > LONGEST_PATH {
        report.problem(path, format!("is too long: {LONGEST_PATH} bytes are the most for a socket's path"));
    }
    Some(socket.clone())
}

fn mode(written: Option<&str>, path: &Path, report: &mut Report) -> u32 {
    let Some(written) = written else { return MODE };
    match u32::from_str_radix(written, 8) {
        Ok(mode) if mode <= 0o777 && mode & 0o600 == 0o600 => mode,
        _ => {
            let what = "is no mode of a socket: write octal digits that let the owner in, such as \"0660\"";
            report.problem(path, format!("{} {what}", report.written(path)));
            MODE
        }
    }
}

fn limits(written: &written::WrittenSource, path: &Path, report: &mut Report) -> StreamLimits {
    StreamLimits {
        acks: written.acks.unwrap_or(false),
        max_connections: written.max_connections.unwrap_or(MAX_CONNECTIONS) as usize,
        idle_timeout: positive(written.idle_timeout, IDLE_TIMEOUT, &path.key("idleTimeout"), report),
    }
}

fn framing(written: &written::WrittenSource) -> SourceFraming {
    match written.framing.unwrap_or(written::WrittenSourceFraming::Lines) {
        written::WrittenSourceFraming::Lines => SourceFraming::Lines,
        written::WrittenSourceFraming::Syslog => SourceFraming::Syslog,
    }
}
