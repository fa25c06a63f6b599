//! The end at which a source is sent its events, opened before anything else is.

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use tokio_util::sync::CancellationToken;

use super::{
    http,
    outlet::{self, Outlet},
    spool::IN_FLIGHT,
    stdin,
};
use crate::config::{Source, SourceKind};

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
    Http(http::Server),
}

impl Listener {
    /// Opens it, for a source that has a spool. `dir` is where the source may keep files, which may not be there yet.
    pub fn open(source: &Source, dir: &Path) -> Result<Self, ListenError> {
        match &source.kind {
            SourceKind::Stdin(_) => Ok(Self::Stdin),
            SourceKind::Http(http) => {
                let address = http.listen;
                let server = http::Server::open(source, http, dir);
                Ok(Self::Http(server.map_err(|source| ListenError::Address { address, source })?))
            }
            _ => Err(ListenError::Configured(format!("source {} takes no events from others", source.name))),
        }
    }

    /// Bytes that a source may use, beside what its forwarders do.
    pub fn memory(source: &Source) -> usize {
        let own = match &source.kind {
            SourceKind::File(_) => return 0,
            SourceKind::Stdin(_) => 2 * outlet::longest(source),
            SourceKind::Http(http) => http::Server::memory(&http.intake),
            _ => 0,
        };
        // What waits is copied once more when it is written.
        own + 2 * IN_FLIGHT
    }

    /// Takes events until it is told to stop, or its input ended, which `ended` tells.
    pub async fn run(self, outlet: Outlet, ended: CancellationToken, stop: CancellationToken) {
        match self {
            Self::Stdin => stdin::run(outlet, ended, stop).await,
            Self::Http(server) => server.run(outlet.into_intake(), stop).await,
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::Http(server) => match server.addr() {
                Ok(addr) => write!(f, "http://{addr}"),
                Err(_) => f.write_str("http"),
            },
        }
    }
}
