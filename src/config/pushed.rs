//! Sources that hand their events over: the checked values.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{ClientCertificate, HttpIntake};

/// How the spool of a source keeps what it was handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolKeys {
    pub sync: SyncPolicy,
    /// Bytes that may wait for forwarders; then nothing is taken until there is room.
    pub max_bytes: u64,
    pub on_full: OnFull,
}

/// What happens when a spool has no room left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFull {
    /// Nothing is taken until there is room.
    Block,
    /// The forwarders that hold the oldest segment, each of them more than `after` bytes of the spool, give up whole
    /// segments as a recorded gap, the oldest first, until one of them holds no more than that, or another forwarder
    /// would have to give up something too.
    Detach { after: u64 },
}

/// When an accepted record is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before it is acknowledged: a power cut loses nothing that was.
    Always,
    /// At most a second later: a power cut loses that second.
    Interval,
    /// When the kernel likes: a power cut may lose half a minute. `kill -9` loses nothing.
    Never,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StdinSource {
    pub spool: SpoolKeys,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSource {
    pub spool: SpoolKeys,
    pub path: PathBuf,
    /// Of the socket's file.
    pub mode: u32,
    /// Uids or names; empty: whoever may open the socket.
    pub allow_users: Vec<String>,
    pub socket: UnixSocket,
    pub framing: SourceFraming,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixSocket {
    Stream(StreamLimits),
    Datagram,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSource {
    pub spool: SpoolKeys,
    pub listen: SocketAddr,
    pub framing: SourceFraming,
    pub limits: StreamLimits,
    pub tls: Option<SourceTls>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSource {
    pub spool: SpoolKeys,
    pub listen: SocketAddr,
    pub framing: SourceFraming,
}

#[derive(Clone, Debug, PartialEq)]
pub struct HttpSource {
    pub spool: SpoolKeys,
    pub listen: SocketAddr,
    pub tls: Option<SourceTls>,
    pub intake: HttpIntake,
}

/// What is the event in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFraming {
    /// All of it.
    Lines,
    /// The message behind a syslog header (RFC 5424, RFC 3164).
    Syslog,
}

/// What one client may take of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Whether records are acknowledged once they are in the spool.
    pub acks: bool,
    pub max_connections: usize,
    /// A connection that completes no record for so long is closed, if it has begun one or others wait.
    pub idle_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTls {
    pub server: ClientCertificate,
    /// PEM roots; clients must show a certificate of one of them.
    pub client_ca_file: Option<PathBuf>,
}
