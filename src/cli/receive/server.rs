//! A webhook receiver over HTTP/1.1, for `receive` to watch and for `demo` to embed.
//!
//! Every request that was read whole is reported on a channel before it is answered, so whoever has been answered
//! 2xx has also been reported. The channel is bounded: a watcher that does not keep up slows the senders down.

use std::{
    collections::{HashSet, VecDeque},
    io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::{
    body::{self, LIMITS},
    faults::{Behaviour, ScriptedAnswer},
};
use crate::{
    accept_loop::{self, AcceptEvent},
    body_decoder::DecodeError,
    cli::terminal,
};

/// Further senders wait.
const MAX_CONNECTIONS: usize = 1000;

const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Batch ids that are remembered to tell duplicates; the oldest are forgotten first.
const IDS_KEPT: usize = 100_000;
/// Deliveries that wait for the watcher.
const WAITING: usize = 64;

/// A receiver that listens.
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    addr: SocketAddr,
    shared: Arc<ReceiverContext>,
}

/// One request and what was answered.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub at: Timestamp,
    pub method: Method,
    pub uri: Uri,
    /// The token is in them: see that `authorization` is not shown.
    pub headers: HeaderMap,
    pub wire_bytes: usize,
    /// Decoded; as it came where it cannot be decoded.
    pub body: Bytes,
    /// Parts of the body.
    pub events: Vec<Bytes>,
    /// A batch of this id was accepted before.
    pub duplicate: bool,
    pub answer: ScriptedAnswer,
}

/// Totals since the receiver started.
#[derive(Debug, Default)]
pub struct ReceiverCounts {
    pub requests: AtomicU64,
    /// In accepted requests, duplicates too.
    pub events: AtomicU64,
    /// Accepted requests whose batch had been accepted before.
    pub duplicates: AtomicU64,
    /// Requests that were not accepted.
    pub rejected: AtomicU64,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr}: {source}")]
pub struct ReceiverBindError {
    pub addr: SocketAddr,
    pub source: io::Error,
}

#[derive(Debug)]
struct ReceiverContext {
    behaviour: Mutex<Behaviour>,
    accepted: Mutex<AcceptedBatches>,
    counts: Arc<ReceiverCounts>,
    watcher: mpsc::Sender<Delivery>,
}

/// The ids of the accepted batches, and their order.
#[derive(Debug, Default)]
struct AcceptedBatches {
    ids: HashSet<HeaderValue>,
    order: VecDeque<HeaderValue>,
}

impl Receiver {
    /// Listens from now on, answers once [`Self::run`] runs. Dropping the channel's end means that nobody watches.
    pub async fn bind(
        listen: SocketAddr,
        behaviour: Behaviour,
    ) -> Result<(Self, mpsc::Receiver<Delivery>), ReceiverBindError> {
        let bound = async {
            let listener = TcpListener::bind(listen).await?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (listener, addr) = bound.await.map_err(|source| ReceiverBindError { addr: listen, source })?;
        let (watcher, deliveries) = mpsc::channel(WAITING);
        let shared = Arc::new(ReceiverContext {
            behaviour: Mutex::new(behaviour),
            accepted: Mutex::default(),
            counts: Arc::default(),
            watcher,
        });
        let receiver = Self { listener, addr, shared };
        Ok((receiver, deliveries))
    }

    /// With the port that was chosen where 0 was asked for.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn counts(&self) -> Arc<ReceiverCounts> {
        self.shared.counts.clone()
    }

    /// Answers until `stop`, then drops the connections there are; the channel ends with it.
    pub async fn run(self, stop: CancellationToken) {
        let serve = |(stream, _)| {
            let (shared, stop) = (self.shared.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(serve(stream, shared)).await;
            }
        };
        let (mut was_full, mut failed) = (false, false);
        let tell = |event: AcceptEvent<'_>| match event {
            AcceptEvent::Open(MAX_CONNECTIONS) if !std::mem::replace(&mut was_full, true) => {
                let text = format!("{MAX_CONNECTIONS} connections are open: further senders wait");
                terminal::complain("receive", &text);
            }
            AcceptEvent::CannotAccept(error) if !std::mem::replace(&mut failed, true) => {
                let text =
                    format!("cannot accept connections ({error}): senders wait; raise the limit of open files");
                terminal::complain("receive", &text);
            }
            AcceptEvent::Panicked => error!("a bug: the task of a connection panicked"),
            AcceptEvent::Begins
            | AcceptEvent::Open(_)
            | AcceptEvent::CannotAccept(_)
            | AcceptEvent::NoLongerFails
            | AcceptEvent::Closed => {}
        };
        accept_loop::run(self.listener, MAX_CONNECTIONS, &stop, serve, tell).await;
    }
}

async fn serve(stream: TcpStream, shared: Arc<ReceiverContext>) {
    // A second descriptor of the connection, to have it reset when both are closed.
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let socket = Arc::new(socket);
    let service = service_fn(move |request| answer(request, shared.clone(), socket.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        debug!(%error, "a connection ended");
    }
}

/// An error ends the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    shared: Arc<ReceiverContext>,
    socket: Arc<OwnedFd>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let wire = match Limited::new(body, LIMITS.wire).collect().await {
        Ok(wire) => Ok(wire.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(DecodeError::TooLarge(LIMITS.wire)),
        Err(error) => return Err(io::Error::other(error)),
    };
    let delivery = shared.receive(head.method, head.uri, head.headers, wire);
    let answer = delivery.answer.clone();
    // Nobody may be watching any more.
    let _ = shared.watcher.send(delivery).await;

    let delay = shared.behaviour().delay;
    time::sleep(delay).await;
    match answer {
        ScriptedAnswer::Status { status, retry_after, why } => Ok(response(status, retry_after, why)),
        ScriptedAnswer::Hang => std::future::pending().await,
        ScriptedAnswer::Reset => {
            rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

fn response(status: StatusCode, retry_after: Option<u32>, why: Option<String>) -> Response<Full<Bytes>> {
    let why = why.map(|why| why + "\n").unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(why)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

impl ReceiverContext {
    /// Decodes, decides and counts.
    fn receive(&self, method: Method, uri: Uri, headers: HeaderMap, wire: Result<Bytes, DecodeError>) -> Delivery {
        let wire_bytes = wire.as_ref().map_or(0, Bytes::len);
        let decoded = wire.clone().and_then(|wire| body::decode(&headers, &wire));
        let (body, events, refused) = match decoded {
            Ok(body) => {
                let events = body::events(&body);
                (body, events, None)
            }
            Err(error) => (wire.unwrap_or_default(), Vec::new(), Some(error)),
        };
        let answer = match (refused, &method) {
            (_, &(Method::GET | Method::HEAD)) => {
                ScriptedAnswer::refusal(StatusCode::METHOD_NOT_ALLOWED, "send events with POST, PUT or PATCH")
            }
            (Some(error), _) => ScriptedAnswer::refusal(error.status(), error.to_string()),
            (None, _) => {
                let bearer = headers.get(header::AUTHORIZATION).map(text);
                let bearer = bearer.as_deref().and_then(|value| value.strip_prefix("Bearer "));
                self.behaviour().answer(bearer, &events)
            }
        };
        let duplicate = self.is_duplicate(headers.get("webhook-id"), answer.accepts());
        self.count(&answer, events.len(), duplicate);
        Delivery { at: Timestamp::now(), method, uri, headers, wire_bytes, body, events, duplicate, answer }
    }

    /// Whether the id was accepted before; remembers it where it is accepted now.
    fn is_duplicate(&self, id: Option<&HeaderValue>, accepted: bool) -> bool {
        let Some(id) = id else {
            return false;
        };
        let mut known = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        if known.ids.contains(id) {
            return true;
        }
        if accepted {
            known.ids.insert(id.clone());
            known.order.push_back(id.clone());
            if known.order.len() > IDS_KEPT
                && let Some(oldest) = known.order.pop_front()
            {
                known.ids.remove(&oldest);
            }
        }
        false
    }

    fn count(&self, answer: &ScriptedAnswer, events: usize, duplicate: bool) {
        self.counts.requests.fetch_add(1, Relaxed);
        if answer.accepts() {
            self.counts.events.fetch_add(events as u64, Relaxed);
            self.counts.duplicates.fetch_add(u64::from(duplicate), Relaxed);
        } else {
            self.counts.rejected.fetch_add(1, Relaxed);
        }
    }

    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A header's value; bytes that are no text are replaced.
pub(super) fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
