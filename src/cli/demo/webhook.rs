//! The webhooks of the demo: receivers of this process, on loopback ports, each with a ledger.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{net::TcpSocket, sync::Notify};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::ledger::{ArrivalCounts, ReceiverLedger, WantedEvents};
use crate::{
    cli::receive::{Behaviour, Receiver, ReceiverBindError},
    config::Secret,
};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A webhook that listens until it is dropped.
pub(super) struct DemoWebhook {
    addr: SocketAddr,
    ledger: Arc<Mutex<ReceiverLedger>>,
    entered: Arc<Notify>,
    _stop: DropGuard,
}

impl DemoWebhook {
    pub(super) async fn listen(wanted: WantedEvents, behaviour: Behaviour) -> Result<Self, ReceiverBindError> {
        let (receiver, mut deliveries) = Receiver::bind(LOOPBACK, behaviour).await?;
        let (addr, stop) = (receiver.addr(), CancellationToken::new());
        let ledger = Arc::new(Mutex::new(ReceiverLedger::new(wanted)));
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

    pub(super) fn facts(&self) -> ArrivalCounts {
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

fn lock(ledger: &Mutex<ReceiverLedger>) -> MutexGuard<'_, ReceiverLedger> {
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
