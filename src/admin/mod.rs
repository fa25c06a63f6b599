//! The admin pages: `/livez`, `/readyz`, `/metrics`, `/status` and `/`, over HTTP on the configured address.
//!
//! They only read. No payload and no secret is on any of them. A peer can cost little: 64 connections, one request
//! each, 5 s for its head, 16 KiB at most, 10 s in all. A page of another site cannot read them through a browser
//! whose name resolution it controls, because the `Host` must be an address or a loopback name.

pub mod human;
mod metrics;
mod page;
mod registry;
pub mod status;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{
    accept_loop::{self, AcceptEvent},
    config,
};

pub use registry::Registry;

use status::Status;

const MAX_CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;

/// The admin pages, listening.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    addr: SocketAddr,
    registry: Arc<Registry>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "admin: cannot listen on {addr}: {source}; nothing was started: choose another `admin.listen` or end what holds it"
)]
pub struct AdminBindError {
    addr: SocketAddr,
    source: io::Error,
}

impl AdminServer {
    /// Listens from now on; answers once [`Self::run`] runs.
    pub async fn bind(admin: &config::Admin, registry: Arc<Registry>) -> Result<Self, AdminBindError> {
        let addr = admin.listen;
        let bound = async {
            let listener = TcpListener::bind(addr).await?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (listener, addr) = bound.await.map_err(|source| AdminBindError { addr, source })?;
        info!(%addr, "admin listening");
        Ok(Self { listener, addr, registry })
    }

    /// With the port that was chosen where the configuration said 0.
    #[cfg(test)]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `stop`; then ends the connections there are.
    pub async fn run(self, stop: CancellationToken) {
        let Self { listener, addr, registry } = self;
        let serve = |(stream, _)| {
            let (registry, stop) = (registry.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(serve(stream, registry, addr.ip())).await;
            }
        };
        accept_loop::run(listener, MAX_CONNECTIONS, &stop, serve, tell).await;
    }
}

fn tell(event: AcceptEvent<'_>) {
    match event {
        AcceptEvent::CannotAccept(error) => {
            warn!(%error, "admin cannot accept connections: clients wait; raise the limit of open files, or lower maxConnections of sources");
        }
        AcceptEvent::NoLongerFails => info!("accepting connections to admin no longer fails"),
        AcceptEvent::Panicked => error!("a bug: the task of an admin connection panicked"),
        AcceptEvent::Begins | AcceptEvent::Open(_) | AcceptEvent::Closed => {}
    }
}

async fn serve(stream: TcpStream, registry: Arc<Registry>, listen: IpAddr) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&request, &registry, listen);
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .max_headers(MAX_HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "admin connection failed"),
        Err(_) => debug!("admin connection took too long"),
    }
}

fn answer<B>(request: &Request<B>, registry: &Arc<Registry>, listen: IpAddr) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST);
    if !host.is_some_and(|host| may_ask(host, listen)) {
        let advice = "ask by address, or by a loopback name\n";
        return text(StatusCode::MISDIRECTED_REQUEST, advice);
    }
    let known = ["/", "/livez", "/readyz", "/metrics", "/status"];
    if !known.contains(&request.uri().path()) {
        return text(StatusCode::NOT_FOUND, "not found\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "these pages are read-only\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(header::ALLOW, allowed);
        return refusal;
    }
    match request.uri().path() {
        "/livez" => verdict(&registry.health.stuck()),
        "/readyz" => verdict(&registry.health.not_ready()),
        "/metrics" => match metrics::render(registry) {
            Ok(page) => response(StatusCode::OK, metrics::CONTENT_TYPE, page),
            Err(_) => broken(),
        },
        "/status" => match serde_json::to_string_pretty(&Status::of(registry, Timestamp::now())) {
            Ok(page) => response(StatusCode::OK, "application/json", page + "\n"),
            Err(_) => broken(),
        },
        _ => front_page(registry),
    }
}

fn front_page(registry: &Registry) -> Response<Full<Bytes>> {
    let Ok(page) = page::render(&Status::of(registry, Timestamp::now())) else {
        return broken();
    };
    let mut response = response(StatusCode::OK, "text/html; charset=utf-8", page);
    if let Ok(policy) = HeaderValue::from_str(&page::content_security_policy()) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// 200 where there is no objection, else 503 with one on each line.
fn verdict(objections: &[String]) -> Response<Full<Bytes>> {
    if objections.is_empty() {
        text(StatusCode::OK, "ok\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, &(objections.join("\n") + "\n"))
    }
}

fn broken() -> Response<Full<Bytes>> {
    text(StatusCode::INTERNAL_SERVER_ERROR, "the page cannot be made\n")
}

fn text(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether a request for this `Host` may be answered where we listen on `listen`.
///
/// A page of another site that makes its own name resolve to us (DNS rebinding) sends that name. So a loopback
/// listener takes loopback names and addresses, any other takes addresses too; no listener takes a foreign name.
fn may_ask(host: &HeaderValue, listen: IpAddr) -> bool {
    let Some(name) = host.to_str().ok().and_then(|text| text.parse::<hyper::http::uri::Authority>().ok()) else {
        return false;
    };
    let name = name.host().trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || !listen.is_loopback() || address == listen,
        Err(_) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}
