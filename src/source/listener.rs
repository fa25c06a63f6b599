//! The end at which a source is sent its events, opened before anything else is.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{
    connection,
    datagram::{self, Datagrams},
    http,
    spool::IN_FLIGHT,
    spool_writer::{self, SpoolWriter},
    stdin,
    stream::{self, Streams},
    tls::Acceptor,
    unix::{UnixDatagrams, UnixStreams},
};
use crate::config::{Source, SourceKind, TcpSource, UnixSocket, UnixSource};

/// Why a source cannot be sent anything. Nothing was created.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "cannot listen on {address}: {source}; nothing can be sent there: free the address, or set listen to another"
    )]
    Address { address: SocketAddr, source: io::Error },
    #[error("cannot listen on the socket {}: {why}", path.display())]
    Socket { path: PathBuf, why: String },
    #[error("{0}")]
    Configured(String),
}

/// What a source takes its events from.
pub enum Listener {
    Stdin,
    Http(Box<http::HttpServer>),
    Streams(Streams, String),
    Datagrams(Datagrams, String),
}

impl Listener {
    /// Opens it, for a source that has a spool. `dir` is where the source may keep files, which may not be there yet.
    pub fn open(source: &Source, dir: &Path) -> Result<Self, ListenError> {
        match &source.kind {
            SourceKind::Stdin(_) => Ok(Self::Stdin),
            SourceKind::Http(http) => {
                let address = http.listen;
                let tls = http.tls.as_ref().map(Acceptor::new).transpose().map_err(ListenError::Configured)?;
                let server = http::HttpServer::open(source, http, tls, dir);
                let server = server.map_err(|source| ListenError::Address { address, source })?;
                Ok(Self::Http(Box::new(server)))
            }
            SourceKind::Tcp(tcp) => Self::tcp(tcp),
            SourceKind::Udp(udp) => {
                let address = udp.listen;
                let socket = datagram::DatagramSocket::udp(address)
                    .map_err(|source| ListenError::Address { address, source })?;
                let on = socket.address().unwrap_or(address);
                Ok(Self::Datagrams(Datagrams { socket, framing: udp.framing }, format!("udp {on}")))
            }
            SourceKind::Unix(unix) => {
                Self::unix(unix).map_err(|why| ListenError::Socket { path: unix.path.clone(), why })
            }
            SourceKind::File(_) => {
                Err(ListenError::Configured("it is no source that this version can listen for".to_owned()))
            }
        }
    }

    fn tcp(tcp: &TcpSource) -> Result<Self, ListenError> {
        let tls = tcp.tls.as_ref().map(Acceptor::new).transpose().map_err(ListenError::Configured)?;
        let address = tcp.listen;
        let listener = std::net::TcpListener::bind(address)
            .and_then(|listener| {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            })
            .map_err(|source| ListenError::Address { address, source })?;
        // Port 0 is any that is free.
        let on = listener.local_addr().unwrap_or(address);
        let socket = stream::StreamSocket::Tcp { listener, tls };
        Ok(Self::Streams(Streams { socket, limits: tcp.limits, framing: tcp.framing }, format!("tcp {on}")))
    }

    fn unix(unix: &UnixSource) -> Result<Self, String> {
        let on = unix.path.display().to_string();
        Ok(match unix.socket {
            UnixSocket::Stream(limits) => {
                let socket = stream::StreamSocket::Unix(UnixStreams::bind(&unix.path, unix.mode, &unix.allow_users)?);
                Self::Streams(Streams { socket, limits, framing: unix.framing }, on)
            }
            UnixSocket::Datagram => {
                let socket = datagram::DatagramSocket::Unix(UnixDatagrams::bind(&unix.path, unix.mode)?);
                Self::Datagrams(Datagrams { socket, framing: unix.framing }, on)
            }
        })
    }

    /// Bytes that a source may use, beside what its forwarders do.
    pub fn memory(source: &Source) -> usize {
        let own = match &source.kind {
            SourceKind::File(file) if file.spool.is_none() => return 0,
            SourceKind::File(_) => 2 * spool_writer::longest(source),
            SourceKind::Stdin(_) => 2 * spool_writer::longest(source),
            SourceKind::Http(http) => http::HttpServer::memory(&http.intake),
            SourceKind::Tcp(TcpSource { limits, .. })
            | SourceKind::Unix(UnixSource { socket: UnixSocket::Stream(limits), .. }) => {
                // A half record grows in a buffer that doubles.
                limits.max_connections * connection::QUIET
                    + connection::TURNS
                    + 2 * connection::most_halves(spool_writer::longest(source))
            }
            SourceKind::Unix(_) | SourceKind::Udp(_) => 0,
        };
        // What waits is copied once more when it is written.
        own + 2 * IN_FLIGHT
    }

    /// Takes events until it is told to stop, or its input ended, which `ended` tells.
    pub async fn run(self, spool_writer: SpoolWriter, ended: CancellationToken, stop: CancellationToken) {
        match self {
            Self::Stdin => stdin::run(spool_writer, ended, stop).await,
            Self::Http(server) => server.run(spool_writer, stop).await,
            Self::Streams(streams, _) => streams.run(spool_writer, stop).await,
            Self::Datagrams(datagrams, _) => datagrams.run(spool_writer, stop).await,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Http(server) => match server.addr() {
                Ok(addr) => write!(f, "{}://{addr}", server.scheme()),
                Err(_) => f.write_str("http"),
            },
            Self::Streams(_, on) | Self::Datagrams(_, on) => f.write_str(on),
        }
    }
}
