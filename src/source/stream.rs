//! Stream sources: `tcp` and `unix`. One task accepts, each client has its own.

use std::sync::Arc;

use jiff::Timestamp;
use rustix::net::sockopt::set_socket_keepalive;
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time::{Duration, interval, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::{
    connection::{Budget, Connection, Terms},
    link::Link,
    outlet::Outlet,
    stats::Refusal,
    tls::Acceptor,
    unix::UnixStreams,
};
use crate::{
    alarm::Kind,
    config::{SourceFraming, StreamLimits},
};

/// How long nothing is accepted after a failure such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the file of a socket is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub enum Socket {
    Tcp { listener: TcpListener, tls: Option<Acceptor> },
    Unix(UnixStreams),
}

/// One accepted connection, its handshake to come.
enum Accepted {
    Plain(Link),
    Tls(TcpStream, tokio_rustls::TlsAcceptor),
    NotAllowed,
}

pub struct Streams {
    pub socket: Socket,
    pub limits: StreamLimits,
    pub framing: SourceFraming,
}

impl Streams {
    /// Accepts clients until it is told to stop, then lets them finish.
    pub async fn run(mut self, outlet: Outlet, stop: CancellationToken) {
        let terms = Terms {
            budget: Arc::new(Budget::new(outlet.longest())),
            limits: self.limits,
            framing: self.framing,
            stop: stop.clone(),
            outlet,
        };
        let mut clients: JoinSet<()> = JoinSet::new();
        let mut looks = interval(LOOK);
        let mut was_full = false;
        loop {
            terms.outlet.stats.set_connections(clients.len() as u64);
            let full = clients.len() >= self.limits.max_connections;
            if full && !std::mem::replace(&mut was_full, full) {
                warn!(
                    source = &*terms.outlet.name,
                    connections = clients.len(),
                    "maxConnections is reached: more clients wait"
                );
            }
            was_full = full;
            terms.budget.set_crowded(full);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = clients.join_next(), if !clients.is_empty() => tell_of_panic(&terms.outlet, ended),
                _ = looks.tick() => self.look(&terms.outlet),
                accepted = self.socket.accept(&terms.outlet), if !full => match accepted {
                    Ok((Accepted::NotAllowed, peer)) => {
                        let text = format!("{peer} is not among allowUsers and was turned away");
                        terms.outlet.refuse(Refusal::User, &text);
                    }
                    Ok((accepted, peer)) => {
                        clients.spawn(serve(accepted, peer, terms.clone()));
                        terms.outlet.alarms.clear(&object(&terms.outlet), Kind::File);
                    }
                    Err(error) => {
                        let text = format!("cannot accept connections ({error}): clients wait");
                        if terms.outlet.alarms.raise(&object(&terms.outlet), Kind::File, &*text, Timestamp::now()) {
                            error!(source = &*terms.outlet.name, "{text}");
                        }
                        tokio::select! {
                            () = sleep(PAUSE) => {}
                            () = stop.cancelled() => break,
                        }
                    }
                },
            }
        }
        drop(self.socket);
        while let Some(ended) = clients.join_next().await {
            tell_of_panic(&terms.outlet, ended);
        }
        terms.outlet.stats.set_connections(0);
    }

    fn look(&mut self, outlet: &Outlet) {
        if let Socket::Unix(socket) = &mut self.socket {
            socket.look(outlet);
        }
    }
}

/// Not the source itself: its file has an alarm of its own.
fn object(outlet: &Outlet) -> String {
    format!("listener of {}", outlet.name)
}

impl Socket {
    async fn accept(&mut self, outlet: &Outlet) -> std::io::Result<(Accepted, String)> {
        match self {
            Self::Tcp { listener, tls } => {
                let (stream, peer) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                // One that is quiet may stay, and one whose machine is gone may not.
                let _ = set_socket_keepalive(&stream, true);
                let accepted = match tls {
                    None => Accepted::Plain(Link::Tcp(stream)),
                    Some(tls) => Accepted::Tls(stream, tls.current(&outlet.name)),
                };
                Ok((accepted, peer.to_string()))
            }
            Self::Unix(socket) => {
                let (stream, uid) = socket.accept().await?;
                let accepted =
                    if socket.allows(uid) { Accepted::Plain(Link::Unix(stream)) } else { Accepted::NotAllowed };
                Ok((accepted, format!("user {uid}")))
            }
        }
    }
}

async fn serve(accepted: Accepted, peer: String, terms: Terms) {
    let link = match accepted {
        Accepted::Plain(link) => link,
        Accepted::NotAllowed => return,
        Accepted::Tls(stream, acceptor) => {
            let handshake = tokio::select! {
                handshake = timeout(HANDSHAKE, acceptor.accept(stream)) => handshake,
                () = terms.stop.cancelled() => return,
            };
            match handshake {
                Ok(Ok(stream)) => Link::Tls(Box::new(stream)),
                Ok(Err(error)) => return no_tls(&terms.outlet, &peer, &error.to_string()),
                Err(_) => return no_tls(&terms.outlet, &peer, "it took too long"),
            }
        }
    };
    debug!(source = &*terms.outlet.name, peer, "a client connected");
    Connection::new(link, peer, terms).run().await;
}

fn no_tls(outlet: &Outlet, peer: &str, why: &str) {
    outlet.refuse(Refusal::Tls, &format!("no TLS connection with {peer}: {why}"));
}

fn tell_of_panic(outlet: &Outlet, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        let text = "a bug: the task of a connection panicked; what it had not put is lost unless it is sent again";
        error!(source = &*outlet.name, "{text}");
        outlet.alarms.raise(&object(outlet), Kind::Bug, text, Timestamp::now());
    }
}
