//! The one loop that accepts connections, for all that listens: the admin pages, the sources and `receive`.
//!
//! What always holds: no more connections are open than are allowed, further clients wait to be accepted. Where
//! accepting fails (too many open files), nothing is accepted for a second, and it is told once until it is over: a
//! client cannot make it spin. At the stop the listener is closed at once, and the loop ends with the last
//! connection; how soon that is, is for whoever serves it, who knows of the stop as well.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
    time::{Instant, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// How long nothing is accepted after a failure.
const PAUSE: Duration = Duration::from_secs(1);

/// A failure is over once there was none for so long: while descriptors are scarce, every client that leaves lets
/// one be accepted before the next failure.
const OVER: Duration = Duration::from_secs(10);

/// How often a listener is looked after.
const LOOK: Duration = Duration::from_secs(2);

/// Where clients come from.
pub trait ClientListener {
    type Client;

    /// The next client. No client is lost where this is dropped before it completes.
    async fn accept(&mut self) -> io::Result<Self::Client>;

    /// Called every two seconds, also while nobody may be accepted.
    fn look(&mut self) {}
}

impl ClientListener for TcpListener {
    type Client = (TcpStream, SocketAddr);

    async fn accept(&mut self) -> io::Result<Self::Client> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Answers and acknowledgements are short, and somebody waits for them.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// What whoever listens is told.
#[derive(Debug)]
pub enum AcceptEvent<'a> {
    /// A loop begins. What one before told may not be over: it was dropped.
    Begins,
    /// How many connections are open now.
    Open(usize),
    CannotAccept(&'a io::Error),
    /// It was told that it fails, and has not for a while.
    NoLongerFails,
    /// Nothing is accepted any more, so that nothing fails either.
    Closed,
    /// The task of a connection did.
    Panicked,
}

/// Accepts clients until `stop`, at most `most` at once, and runs what `serve` makes of each as a task. Completes when
/// all of them have ended.
pub async fn run<L, F>(
    mut listener: L,
    most: usize,
    stop: &CancellationToken,
    mut serve: impl FnMut(L::Client) -> F,
    mut tell: impl FnMut(AcceptEvent<'_>),
) where
    L: ClientListener,
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut looks = interval(LOOK);
    let mut failed: Option<Instant> = None;
    tell(AcceptEvent::Begins);
    loop {
        let open = connections.len();
        let resumes = failed.map(|at| at + PAUSE).filter(|at| *at > Instant::now());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next() => tell_ended(&ended, connections.len(), &mut tell),
            _ = looks.tick() => {
                listener.look();
                if failed.take_if(|at| at.elapsed() >= OVER).is_some() {
                    tell(AcceptEvent::NoLongerFails);
                }
            }
            () = sleep_until(resumes.unwrap_or_else(Instant::now)), if resumes.is_some() => {}
            accepted = listener.accept(), if resumes.is_none() && open < most => match accepted {
                Ok(client) => {
                    connections.spawn(serve(client));
                    tell(AcceptEvent::Open(connections.len()));
                }
                Err(error) if is_of_one_client(&error) => debug!(%error, "a client could not be accepted"),
                Err(error) => {
                    if failed.replace(Instant::now()).is_none() {
                        tell(AcceptEvent::CannotAccept(&error));
                    }
                }
            },
        }
    }
    drop(listener);
    tell(AcceptEvent::Closed);
    while let Some(ended) = connections.join_next().await {
        tell_ended(&ended, connections.len(), &mut tell);
    }
}

fn tell_ended(ended: &Result<(), JoinError>, open: usize, tell: &mut impl FnMut(AcceptEvent<'_>)) {
    tell(AcceptEvent::Open(open));
    if ended.as_ref().is_err_and(JoinError::is_panic) {
        tell(AcceptEvent::Panicked);
    }
}

/// The next one may be accepted at once: this one went away while it waited, or a signal came.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

    use super::*;

    /// A connection that lasts until its sender is dropped.
    type Client = mpsc::Receiver<()>;

    struct Scripted(mpsc::UnboundedReceiver<io::Result<Client>>);

    impl ClientListener for Scripted {
        type Client = Client;

        async fn accept(&mut self) -> io::Result<Client> {
            self.0.recv().await.expect("the test holds the other end")
        }
    }

    struct Running {
        clients: mpsc::UnboundedSender<io::Result<Client>>,
        told: Arc<Mutex<Vec<String>>>,
        stop: CancellationToken,
        task: JoinHandle<()>,
    }

    fn start(most: usize) -> Running {
        let (clients, script) = mpsc::unbounded_channel();
        let (told, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
        let task = {
            let (told, stop) = (told.clone(), stop.clone());
            let serve = |mut client: Client| async move { assert!(client.recv().await.is_none(), "on purpose") };
            let tell = move |event: AcceptEvent<'_>| {
                told.lock().unwrap().push(match event {
                    AcceptEvent::CannotAccept(error) => error.kind().to_string(),
                    other => format!("{other:?}"),
                });
            };
            tokio::spawn(async move { run(Scripted(script), most, &stop, serve, tell).await })
        };
        Running { clients, told, stop, task }
    }

    impl Running {
        fn connect(&self) -> mpsc::Sender<()> {
            let (connection, client) = mpsc::channel(1);
            self.clients.send(Ok(client)).unwrap();
            connection
        }

        fn fail(&self, kind: io::ErrorKind) {
            self.clients.send(Err(kind.into())).unwrap();
        }

        /// What was told until all has been done that can be.
        async fn told(&self) -> Vec<String> {
            sleep(Duration::from_millis(1)).await;
            std::mem::take(&mut *self.told.lock().unwrap())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn more_clients_than_allowed_wait_until_one_leaves() {
        let running = start(2);
        let [first, _second, _third] = [running.connect(), running.connect(), running.connect()];
        assert_eq!(running.told().await, ["Begins", "Open(1)", "Open(2)"]);
        drop(first);
        assert_eq!(running.told().await, ["Open(1)", "Open(2)"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_pauses_and_is_told_once_until_there_was_none_for_a_while() {
        let running = start(9);
        let emfile = io::ErrorKind::OutOfMemory;
        for _ in 0..3 {
            running.fail(emfile);
            let _short = running.connect();
        }
        assert_eq!(running.told().await, ["Begins", "out of memory"]);
        sleep(PAUSE / 2).await;
        assert!(running.told().await.is_empty(), "nobody is accepted while it pauses");
        sleep(PAUSE * 5).await;
        let told = running.told().await;
        assert!(told.iter().all(|told| told.starts_with("Open")) && told.len() == 6, "it is told already: {told:?}");
        sleep(OVER + LOOK).await;
        assert_eq!(running.told().await, ["NoLongerFails"]);
        running.fail(emfile);
        assert_eq!(running.told().await, ["out of memory"]);
        running.stop.cancel();
        assert_eq!(running.told().await, ["Closed"], "it may fail still, for whoever listens there next");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_went_away_while_it_waited_holds_nobody_up() {
        let running = start(9);
        for _ in 0..100 {
            running.fail(io::ErrorKind::ConnectionAborted);
        }
        let _connection = running.connect();
        assert_eq!(running.told().await, ["Begins", "Open(1)"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_accepts_nobody_and_waits_for_those_who_are_there() {
        let running = start(9);
        let (first, second) = (running.connect(), running.connect());
        running.told().await;
        running.stop.cancel();
        running.told().await;
        assert!(running.clients.is_closed() && !running.task.is_finished());
        second.send(()).await.unwrap();
        assert_eq!(running.told().await, ["Open(1)", "Panicked"]);
        drop(first);
        assert_eq!(running.told().await, ["Open(0)"]);
        running.task.await.unwrap();
    }

    #[tokio::test]
    async fn a_port_is_free_from_the_stop_on_even_while_a_connection_is_open() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (open, mut opened) = mpsc::unbounded_channel();
        let task = tokio::spawn({
            let stop = stop.clone();
            let serve = |_client| std::future::pending();
            async move { run(listener, 1, &stop, serve, |event| drop(open.send(format!("{event:?}")))).await }
        });
        let _client = TcpStream::connect(addr).await.unwrap();
        assert_eq!([opened.recv().await.unwrap(), opened.recv().await.unwrap()], ["Begins", "Open(1)"]);
        stop.cancel();
        while TcpStream::connect(addr).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert!(!task.is_finished());
        task.abort();
    }
}
