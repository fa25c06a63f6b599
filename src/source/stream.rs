//! Stream sources: `tcp` and `unix`. One task accepts, each client has its own.

use std::{io, sync::Arc, time::Duration};

use rustix::net::sockopt::set_socket_keepalive;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    client_stream::ClientStream,
    clients,
    connection::{Budget, Connection, ConnectionContext},
    spool_writer::SpoolWriter,
    stats::IntakeRefusal,
    tls::{self, Acceptor},
    unix::UnixStreams,
};
use crate::{
    accept_loop::{self, AcceptEvent, ClientListener},
    config::{SourceFraming, StreamLimits},
};

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
}

pub struct Streams {
    pub socket: StreamSocket,
    pub limits: StreamLimits,
    pub framing: SourceFraming,
}

/// The socket, and to whom is said what becomes of it.
struct StreamListener {
    socket: StreamSocket,
    spool_writer: SpoolWriter,
}

impl Streams {
    /// Accepts clients until it is told to stop, then lets them finish.
    pub async fn run(self, spool_writer: SpoolWriter, stop: CancellationToken) {
        let Self { socket, limits, framing } = self;
        let most = limits.max_connections;
        let budget = Arc::new(Budget::new(spool_writer.longest()));
        let terms = ConnectionContext { spool_writer, budget, limits, framing, stop: stop.clone() };
        let listener = StreamListener { socket, spool_writer: terms.spool_writer.clone() };
        let mut was_full = false;
        let tell = |event: AcceptEvent<'_>| {
            clients::note(&terms.spool_writer, &event);
            if let AcceptEvent::Open(connections) = event {
                let full = connections >= most;
                if full && !was_full {
                    let source = &*terms.spool_writer.name;
                    warn!(source, connections, "maxConnections is reached: more clients wait");
                }
                was_full = full;
                terms.budget.set_crowded(full);
            }
        };
        let serve = |(accepted, peer)| serve(accepted, peer, terms.clone());
        accept_loop::run(listener, most, &stop, serve, tell).await;
    }
}

impl ClientListener for StreamListener {
    type Client = (AcceptedConnection, String);

    async fn accept(&mut self) -> io::Result<Self::Client> {
        match &mut self.socket {
            StreamSocket::Tcp { listener, tls } => {
                let (stream, peer) = ClientListener::accept(listener).await?;
                // One that is quiet may stay, and one whose machine is gone may not.
                let _ = set_socket_keepalive(&stream, true);
                let accepted = match tls {
                    None => AcceptedConnection::Plain(ClientStream::Tcp(stream)),
                    Some(tls) => AcceptedConnection::Tls(stream, tls.current(&self.spool_writer.name)),
                };
                Ok((accepted, peer.to_string()))
            }
            // Who is not allowed never is a client: it takes nobody's place.
            StreamSocket::Unix(socket) => loop {
                let (stream, uid) = socket.accept().await?;
                if socket.allows(uid) {
                    let accepted = AcceptedConnection::Plain(ClientStream::Unix(stream));
                    return Ok((accepted, format!("user {uid}")));
                }
                let text = format!("user {uid} is not among allowUsers and was turned away");
                self.spool_writer.refuse(IntakeRefusal::User, &text);
            },
        }
    }

    fn look(&mut self) {
        if let StreamSocket::Unix(socket) = &mut self.socket {
            socket.look(&self.spool_writer);
        }
    }
}

async fn serve(accepted: AcceptedConnection, peer: String, terms: ConnectionContext) {
    let spool_writer = &terms.spool_writer;
    let link = match accepted {
        AcceptedConnection::Plain(link) => link,
        AcceptedConnection::Tls(stream, acceptor) => {
            let handshake = tls::handshake(acceptor, stream, HANDSHAKE);
            match terms.stop.run_until_cancelled(handshake).await {
                Some(Ok(stream)) => ClientStream::Tls(Box::new(stream)),
                Some(Err(why)) => {
                    let text = format!("no TLS connection with {peer}: {why}");
                    return spool_writer.refuse(IntakeRefusal::Tls, &text);
                }
                None => return,
            }
        }
    };
    debug!(source = &*spool_writer.name, peer, "a client connected");
    Connection::new(link, peer, terms).run().await;
}
