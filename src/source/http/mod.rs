//! The `http` source: webhooks are taken in over HTTP/1.1.
//!
//! What always holds: whoever is answered 2xx has his events in the spool, as far as its `sync` promises; whoever is
//! not may send them again, and where he gives an id they are stored once. A body is taken whole or not at all. Memory
//! is bounded by a budget that all bodies share, whatever they claim to be, and no client can hold a connection by
//! being slow. Nothing of a body and nothing secret is in any diagnostic.

mod answer;
mod auth;
mod complaints;
mod events;
mod request;
mod seen;
mod signed;
#[cfg(test)]
mod tests;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::Semaphore,
    time,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

use self::{auth::SenderAuth, complaints::Complaints, seen::Seen};
use super::{
    clients,
    spool::Intake,
    spool_writer::SpoolWriter,
    stats::{IntakeRefusal, SourceStats},
    tls::{self, Acceptor},
};
use crate::{
    accept_loop::{self, AcceptEvent},
    body_decoder::DecodeLimits,
    config::{self, HttpIntake, HttpSource, Senders, Source},
};

/// Connections beyond those that are allowed, which are told to come again.
const TOLD_TO_COME_AGAIN: usize = 64;

const MAX_HEAD_BYTES: usize = 32 * 1024;
const MAX_HEADERS: usize = 100;

/// A body that decodes to more times its size is no honest one.
const HONEST_RATIO: usize = 200;

/// What a connection costs beside what it has read, TLS included.
const QUIET: usize = 32 * 1024;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;

/// How long what is slow may take.
#[derive(Clone, Copy, Debug)]
struct Times {
    /// From a connection's beginning, or the last answer, to the end of a head.
    head: Duration,
    /// Between two pieces of a body.
    idle: Duration,
    /// From a head to the end of its body, and from there to the answer.
    body: Duration,
    /// For the rest of a body that nobody wants.
    drain: Duration,
    /// For what is under way at a stop.
    grace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { head: seconds(10), idle: seconds(10), body: seconds(60), drain: seconds(1), grace: seconds(5) }
    }
}

/// A server that listens.
pub struct HttpServer {
    listener: TcpListener,
    tls: Option<Acceptor>,
    name: String,
    config: HttpSource,
    schema: config::Schema,
    /// The file of the requests that were taken before.
    seen: PathBuf,
}

/// What all requests share.
struct HttpContext {
    name: String,
    path: Option<String>,
    schema: config::Schema,
    limits: DecodeLimits,
    spool_bytes: u64,
    times: Times,
    budget: Arc<Semaphore>,
    guard: SenderAuth,
    seen: Seen,
    intake: Intake,
    /// Bodies that are being stored, which a sender's going away does not end.
    storing: TaskTracker,
    complaints: Complaints,
    stats: Arc<SourceStats>,
}

impl HttpServer {
    /// Listens from now on; answers once [`Self::run`] runs. `dir` is the source's own.
    pub fn open(source: &Source, config: &HttpSource, tls: Option<Acceptor>, dir: &Path) -> io::Result<Self> {
        let listener = listen(config.listen)?;
        let addr = listener.local_addr()?;
        if !addr.ip().is_loopback() && config.intake.senders == Senders::default() {
            warn!(source = source.name, %addr,
                "whoever reaches this address can hand events over: set token, hmac or signature");
        }
        let (name, schema) = (source.name.clone(), source.schema);
        Ok(Self { listener, tls, name, config: config.clone(), schema, seen: dir.join("seen") })
    }

    /// With the port that was chosen where 0 was asked for.
    pub fn addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Bytes that all bodies together may hold, and each connection beside them.
    pub fn memory(config: &HttpIntake) -> usize {
        let connections = config.max_connections + TOLD_TO_COME_AGAIN;
        limits(config).budget() + connections * (MAX_HEAD_BYTES + QUIET)
    }

    /// Answers until `stop`; then what is under way is still answered. The spool must outlive this.
    pub async fn run(self, spool_writer: SpoolWriter, stop: CancellationToken) {
        self.run_with(spool_writer, stop, Times::default()).await;
    }

    async fn run_with(self, spool_writer: SpoolWriter, stop: CancellationToken, times: Times) {
        let Self { listener, mut tls, name, config, schema, seen } = self;
        let most = config.intake.max_connections;
        let opened = {
            let name = name.clone();
            tokio::task::spawn_blocking(move || Seen::open(&name, &seen, request::unix_now()))
        };
        let seen = opened.await.expect("reading what was seen does not panic");
        let shared = Arc::new(HttpContext::new(name, &config, schema, times, seen, &spool_writer));
        let allowed = Arc::new(Semaphore::new(most));
        let serve = |(stream, _)| {
            let permit = allowed.clone().try_acquire_owned().ok();
            let tls = tls.as_mut().map(|tls| tls.current(&shared.name));
            let (shared, stop) = (shared.clone(), stop.clone());
            async move {
                welcome(stream, tls, shared, permit.is_none(), stop).await;
                drop(permit);
            }
        };
        let tell = |event: AcceptEvent<'_>| clients::note(&spool_writer, &event);
        accept_loop::run(listener, most + TOLD_TO_COME_AGAIN, &stop, serve, tell).await;
        shared.storing.close();
        shared.storing.wait().await;
    }
}

impl HttpContext {
    fn new(
        name: String,
        config: &HttpSource,
        schema: config::Schema,
        times: Times,
        seen: Seen,
        spool_writer: &SpoolWriter,
    ) -> Self {
        let limits = limits(&config.intake);
        Self {
            path: config.intake.path.clone(),
            schema,
            limits,
            spool_bytes: config.spool.max_bytes,
            times,
            budget: Arc::new(Semaphore::new(limits.budget())),
            guard: SenderAuth::new(&name, &config.intake.senders),
            seen,
            intake: spool_writer.intake(),
            storing: TaskTracker::new(),
            complaints: Complaints::new(&name),
            stats: spool_writer.stats.clone(),
            name,
        }
    }
}

fn limits(config: &HttpIntake) -> DecodeLimits {
    let wire = config.max_body_bytes;
    DecodeLimits { wire, decoded: wire.saturating_mul(config::DECODED), ratio: HONEST_RATIO }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of the run before.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// TLS first, where it is wanted.
async fn welcome(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: Arc<HttpContext>,
    overloaded: bool,
    stop: CancellationToken,
) {
    let Some(acceptor) = tls else { return serve(stream, shared, overloaded, stop).await };
    match stop.run_until_cancelled(tls::handshake(acceptor, stream, shared.times.head)).await {
        Some(Ok(stream)) => serve(stream, shared, overloaded, stop).await,
        Some(Err(why)) => {
            shared.stats.refuse(IntakeRefusal::Tls, 1);
            debug!(source = shared.name, "no TLS connection with a sender: {why}");
        }
        None => {}
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    shared: Arc<HttpContext>,
    overloaded: bool,
    stop: CancellationToken,
) {
    let times = shared.times;
    let service = service_fn(|request| {
        let answer = request::answer(shared.clone(), request, overloaded);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .half_close(true)
        .keep_alive(!overloaded)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match time::timeout(times.grace, connection).await {
                Ok(ended) => ended,
                Err(_) => return debug!(source = shared.name, "a connection was cut: it did not end in time"),
            }
        }
    };
    if let Err(error) = ended {
        debug!(source = shared.name, %error, "a connection ended");
    }
}
