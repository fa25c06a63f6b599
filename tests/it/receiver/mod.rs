//! A scripted webhook. It speaks HTTP/1.1 on raw streams from plain threads, so that it can do what no HTTP library
//! lets a server do: reset in the middle of a body, stall, answer early, close late, drip.
//!
//! Every request is recorded, whole or not. All of it ends when the `Receiver` is dropped.

mod connection;
mod delivery;
mod reply;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    mem::ManuallyDrop,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType};

use crate::certificate::{Authority, Identity};

pub use delivery::Delivery;
pub use reply::Reply;

use connection::Connection;

/// How long a `wait…` without a time of its own waits before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A webhook on a loopback port.
pub struct Receiver {
    shared: Arc<Shared>,
    addr: SocketAddr,
    scheme: &'static str,
    /// Keeps the port ours while nothing listens on it: another test would be given it, and what is meant for us.
    /// For good: what still knocks when a test is over must not reach another test.
    _reserved: ManuallyDrop<OwnedFd>,
    accepting: Option<Accepting>,
}

/// The listening half, while there is one.
struct Accepting {
    listener: TcpListener,
    thread: JoinHandle<()>,
}

type Rule = Arc<dyn Fn(&Delivery) -> Reply + Send + Sync>;

/// What the connections share with the test.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// `None` for plain http. What a new connection is offered.
    tls: Option<Mutex<Arc<rustls::ServerConfig>>>,
    next_connection: AtomicUsize,
}

struct State {
    script: VecDeque<Reply>,
    /// Asked once the script is used up.
    rule: Rule,
    deliveries: Vec<Delivery>,
    /// How many were recorded and then cleared: a request knows its number since the start.
    cleared: usize,
    /// Of the open connections, so that stopping can end them.
    open: HashMap<usize, TcpStream>,
    stopping: bool,
}

impl Receiver {
    /// Listens on a free port and answers 200 until told otherwise.
    pub fn start() -> Self {
        Self::start_on(0)
    }

    pub fn start_on(port: u16) -> Self {
        Self::listen(port, None)
    }

    /// The same over TLS.
    pub fn start_tls(identity: &Identity) -> Self {
        Self::listen(0, Some(connection::tls_config(identity, None)))
    }

    /// Over TLS, and only with a client certificate of this authority.
    pub fn start_mutual_tls(identity: &Identity, clients: &Authority) -> Self {
        Self::listen(0, Some(connection::tls_config(identity, Some(clients))))
    }

    /// Shows this certificate from the next connection on.
    pub fn present(&self, identity: &Identity) {
        let tls = self.shared.tls.as_ref().expect("it speaks TLS");
        *tls.lock().unwrap() = connection::tls_config(identity, None);
    }

    fn listen(port: u16, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                script: VecDeque::new(),
                rule: Arc::new(|_| Reply::status(200)),
                deliveries: Vec::new(),
                cleared: 0,
                open: HashMap::new(),
                stopping: false,
            }),
            changed: Condvar::new(),
            tls: tls.map(Mutex::new),
            next_connection: AtomicUsize::new(1),
        });
        let (reserved, port) = reserve(port);
        let (addr, accepting) = accept_on(port, &shared);
        Self { shared, addr, scheme, _reserved: ManuallyDrop::new(reserved), accepting: Some(accepting) }
    }

    /// The webhook's address, by number.
    pub fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    /// The same by another name, as in a certificate.
    pub fn url_at(&self, host: &str) -> String {
        format!("{}://{host}:{}/ingest", self.scheme, self.port())
    }

    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers the next requests with these, one each, in the order in which their heads arrive; then by the rule.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state().script.extend(replies);
    }

    /// Drops what is left of the script.
    pub fn clear_script(&self) {
        self.state().script.clear();
    }

    /// Answers every request after the script like this.
    pub fn always(&self, reply: Reply) {
        self.rule(move |_| reply.clone());
    }

    /// Decides by the whole request, after the script. A reply that would act amid the body acts after it here.
    pub fn rule(&self, rule: impl Fn(&Delivery) -> Reply + Send + Sync + 'static) {
        self.state().rule = Arc::new(rule);
    }

    /// Every request so far, in the order in which their heads arrived.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// The lines of the deliveries that were answered 2xx, in order: what the receiver has.
    pub fn accepted_lines(&self) -> Vec<String> {
        accepted(&self.state().deliveries).flat_map(Delivery::lines).collect()
    }

    /// The batch ids of the deliveries that were answered 2xx, in order.
    pub fn accepted_ids(&self) -> Vec<String> {
        accepted(&self.state().deliveries).map(|delivery| delivery.id().to_owned()).collect()
    }

    /// The batch ids of all requests, retries too.
    pub fn ids(&self) -> Vec<String> {
        self.state().deliveries.iter().map(|delivery| delivery.id().to_owned()).collect()
    }

    /// Forgets the requests so far.
    pub fn clear(&self) {
        let mut state = self.state();
        state.cleared += state.deliveries.len();
        state.deliveries.clear();
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.next_connection.load(Ordering::SeqCst) - 1
    }

    /// Waits until `n` requests have arrived (head and body, as far as the body was read).
    pub fn wait_for_requests(&self, n: usize) -> Vec<Delivery> {
        self.wait_until(&format!("{n} requests"), PATIENCE, |deliveries| {
            deliveries.iter().filter(|d| d.finished).count() >= n
        })
    }

    /// Waits until `n` lines were answered 2xx, and gives all accepted lines.
    pub fn wait_for_lines(&self, n: usize) -> Vec<String> {
        let deliveries = self.wait_until(&format!("{n} accepted lines"), PATIENCE, |deliveries| {
            accepted(deliveries).map(Delivery::line_count).sum::<usize>() >= n
        });
        accepted(&deliveries).flat_map(Delivery::lines).collect()
    }

    /// Waits until the requests are as the predicate wants them. Panics, and says what there is, after `limit`.
    pub fn wait_until(&self, what: &str, limit: Duration, holds: impl Fn(&[Delivery]) -> bool) -> Vec<Delivery> {
        let end = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if holds(&state.deliveries) {
                return state.deliveries.clone();
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let seen: Vec<String> = state.deliveries.iter().map(Delivery::summary).collect();
                drop(state);
                panic!(
                    "waited {limit:?} in vain for {what}; there were {} requests:\n{}",
                    seen.len(),
                    seen.join("\n")
                );
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// Closes the port and every connection: the next connection is refused. What was recorded stays.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        {
            let mut state = self.state();
            state.stopping = true;
            for stream in state.open.values() {
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        }
        self.shared.changed.notify_all();
        // On Linux this wakes the thread in `accept`, which a close alone would not.
        let _ = rustix::net::shutdown(&accepting.listener, Shutdown::Both);
        let _ = accepting.thread.join();
    }

    /// Listens on the same port again after [`Self::stop`]; the script and the record go on.
    pub fn start_again(&mut self) {
        self.stop();
        self.state().stopping = false;
        let (_, accepting) = accept_on(self.port(), &self.shared);
        self.accepting = Some(accepting);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accepted(deliveries: &[Delivery]) -> impl Iterator<Item = &Delivery> {
    deliveries.iter().filter(|delivery| delivery.accepted())
}

/// Binds a port without listening on it; 0 is a free one.
fn reserve(port: u16) -> (OwnedFd, u16) {
    let socket =
        rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    let bound = SocketAddr::try_from(rustix::net::getsockname(&socket).unwrap()).unwrap();
    (socket, bound.port())
}

fn accept_on(port: u16, shared: &Arc<Shared>) -> (SocketAddr, Accepting) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = {
        let (listener, shared) = (listener.try_clone().unwrap(), shared.clone());
        thread::spawn(move || accept(&listener, &shared))
    };
    (addr, Accepting { listener, thread })
}

/// Gives each connection a thread; joins them all before it ends, so that a stopped receiver answers nothing more.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        let number = {
            let mut state = shared.state.lock().unwrap();
            if state.stopping {
                break;
            }
            let number = shared.next_connection.fetch_add(1, Ordering::SeqCst);
            state.open.insert(number, stream.try_clone().unwrap());
            number
        };
        let shared = shared.clone();
        threads.push(thread::spawn(move || {
            Connection::new(number, stream, &shared).serve();
        }));
    }
    for thread in threads {
        let _ = thread.join();
    }
}
