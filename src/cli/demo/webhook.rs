//! The webhooks of the demo: receivers of this process, on loopback ports, each with a ledger.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::TcpSocket, sync::Notify};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ledger::{Facts, Ledger, Wanted};
use crate::{
    cli::receive::{Behaviour, BindError, Receiver},
    config::Secret,
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A webhook that listens until it is dropped.
pub(super) struct Webhook {
    addr: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
    entered: Arc<Notify>,
    _stop: DropGuard,
}

impl Webhook {
    pub(super) async fn listen(wanted: Wanted, behaviour: Behaviour) -> Result<Self, BindError> {
        let (receiver, mut deliveries) = Receiver::bind(LOOPBACK, behaviour).await?;
        let (addr, stop) = (receiver.addr(), CancellationToken::new());
        let ledger = Arc::new(Mutex::new(Ledger::new(wanted)));
        let entered = Arc::new(Notify::new());
        tokio::spawn(receiver.run(stop.clone()));
        tokio::spawn({
            let (ledger, entered) = (ledger.clone(), entered.clone());
            async move {
                while let Some(delivery) = deliveries.recv().await {
                    lock(&ledger).enter(&delivery);
                    entered.notify_waiters();
                }
            }
        });
        Ok(Self { addr, ledger, entered, _stop: stop.drop_guard() })
    }

    pub(super) fn uri(&self) -> String {
        format!("http://{}/", self.addr)
    }

    pub(super) fn facts(&self) -> Facts {
        lock(&self.ledger).facts
    }

    /// How many of the first `events` events should have arrived and did not.
    pub(super) fn missing(&self, events: usize) -> usize {
        lock(&self.ledger).missing(events)
    }

    /// Event 0 as it arrived.
    pub(super) fn example(&self) -> Option<String> {
        lock(&self.ledger).example.clone()
    }

    /// From a moment to the last acceptance.
    pub(super) fn took_since(&self, start: Instant) -> Duration {
        lock(&self.ledger).took_since(start)
    }

    /// Waits for the next request: it has been taken note of, and is not answered yet where answers are delayed.
    /// False where none comes in time.
    pub(super) async fn next_request(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.entered.notified()).await.is_ok()
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A port that is taken and that nobody listens on, so that connections to it are refused.
pub(super) struct DeadPort {
    _socket: TcpSocket,
    addr: SocketAddr,
}

impl DeadPort {
    pub(super) fn take() -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(LOOPBACK)?;
        let addr = socket.local_addr()?;
        Ok(Self { _socket: socket, addr })
    }

    pub(super) fn uri(&self) -> String {
        format!("http://{}/", self.addr)
    }
}

/// A behaviour that takes only requests with this token.
pub(super) fn guarded(token: &str) -> Behaviour {
    Behaviour { token: Some(Secret::new(token)), ..Behaviour::default() }
}
