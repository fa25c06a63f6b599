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
    client_stream::ClientStream,
    connection::{Budget, Connection, ConnectionContext},
    spool_writer::SpoolWriter,
    stats::IntakeRefusal,
    tls::Acceptor,
    unix::UnixStreams,
};
use crate::{
    alarm::{AlarmKind, AlarmSubject},
    config::{SourceFraming, StreamLimits},
};

/// How long nothing is accepted after a failure such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the file of a socket is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub enum StreamSocket {
    Tcp { listener: TcpListener, tls: Option<Acceptor> },
    Unix(UnixStreams),
}

/// One accepted connection, its handshake to come.
enum AcceptedConnection {
    Plain(ClientStream),
    Tls(TcpStream, tokio_rustls::TlsAcceptor),
    NotAllowed,
}

pub struct Streams {
    pub socket: StreamSocket,
    pub limits: StreamLimits,
    pub framing: SourceFraming,
}

impl Streams {
    /// Accepts clients until it is told to stop, then lets them finish.
    pub async fn run(mut self, spool_writer: SpoolWriter, stop: CancellationToken) {
        let terms = ConnectionContext {
            budget: Arc::new(Budget::new(spool_writer.longest())),
            limits: self.limits,
            framing: self.framing,
            stop: stop.clone(),
            spool_writer,
        };
        let mut clients: JoinSet<()> = JoinSet::new();
        let mut looks = interval(LOOK);
        let mut was_full = false;
        loop {
            terms.spool_writer.stats.set_connections(clients.len() as u64);
            let full = clients.len() >= self.limits.max_connections;
            if full && !std::mem::replace(&mut was_full, full) {
                warn!(
                    source = &*terms.spool_writer.name,
                    connections = clients.len(),
                    "maxConnections is reached: more clients wait"
                );
            }
            was_full = full;
            terms.budget.set_crowded(full);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = clients.join_next(), if !clients.is_empty() => tell_of_panic(&terms.spool_writer, ended),
                _ = looks.tick() => self.look(&terms.spool_writer),
                accepted = self.socket.accept(&terms.spool_writer), if !full => match accepted {
                    Ok((AcceptedConnection::NotAllowed, peer)) => {
                        let text = format!("{peer} is not among allowUsers and was turned away");
                        terms.spool_writer.refuse(IntakeRefusal::User, &text);
                    }
                    Ok((accepted, peer)) => {
                        clients.spawn(serve(accepted, peer, terms.clone()));
                        terms.spool_writer.alarms.clear(&subject(&terms.spool_writer), AlarmKind::File);
                    }
                    Err(error) => {
                        let text = format!("cannot accept connections ({error}): clients wait");
                        if terms.spool_writer.alarms.raise(&subject(&terms.spool_writer), AlarmKind::File, &*text, Timestamp::now()) {
                            error!(source = &*terms.spool_writer.name, "{text}");
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
            tell_of_panic(&terms.spool_writer, ended);
        }
        terms.spool_writer.stats.set_connections(0);
    }

    fn look(&mut self, spool_writer: &SpoolWriter) {
        if let StreamSocket::Unix(socket) = &mut self.socket {
            socket.look(spool_writer);
        }
    }
}

/// Not the source itself: its file has an alarm of its own.
fn subject(spool_writer: &SpoolWriter) -> AlarmSubject {
    AlarmSubject::listener(&spool_writer.name)
}

impl StreamSocket {
    async fn accept(&mut self, spool_writer: &SpoolWriter) -> std::io::Result<(AcceptedConnection, String)> {
        match self {
            Self::Tcp { listener, tls } => {
                let (stream, peer) = listener.accept().await?;
                let _ = stream.set_nodelay(true);
                // One that is quiet may stay, and one whose machine is gone may not.
                let _ = set_socket_keepalive(&stream, true);
                let accepted = match tls {
                    None => AcceptedConnection::Plain(ClientStream::Tcp(stream)),
                    Some(tls) => AcceptedConnection::Tls(stream, tls.current(&spool_writer.name)),
                };
                Ok((accepted, peer.to_string()))
            }
            Self::Unix(socket) => {
                let (stream, uid) = socket.accept().await?;
                let accepted = if socket.allows(uid) {
                    AcceptedConnection::Plain(ClientStream::Unix(stream))
                } else {
                    AcceptedConnection::NotAllowed
                };
                Ok((accepted, format!("user {uid}")))
            }
        }
    }
}

async fn serve(accepted: AcceptedConnection, peer: String, terms: ConnectionContext) {
    let link = match accepted {
        AcceptedConnection::Plain(link) => link,
        AcceptedConnection::NotAllowed => return,
        AcceptedConnection::Tls(stream, acceptor) => {
            let handshake = tokio::select! {
                handshake = timeout(HANDSHAKE, acceptor.accept(stream)) => handshake,
                () = terms.stop.cancelled() => return,
            };
            match handshake {
                Ok(Ok(stream)) => ClientStream::Tls(Box::new(stream)),
                Ok(Err(error)) => return no_tls(&terms.spool_writer, &peer, &error.to_string()),
                Err(_) => return no_tls(&terms.spool_writer, &peer, "it took too long"),
            }
        }
    };
    debug!(source = &*terms.spool_writer.name, peer, "a client connected");
    Connection::new(link, peer, terms).run().await;
}

fn no_tls(spool_writer: &SpoolWriter, peer: &str, why: &str) {
    spool_writer.refuse(IntakeRefusal::Tls, &format!("no TLS connection with {peer}: {why}"));
}

fn tell_of_panic(spool_writer: &SpoolWriter, ended: Result<(), JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        let text = "a bug: the task of a connection panicked; what it had not put is lost unless it is sent again";
        error!(source = &*spool_writer.name, "{text}");
        spool_writer.alarms.raise(&subject(spool_writer), AlarmKind::Bug, text, Timestamp::now());
    }
}
