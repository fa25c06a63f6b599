//! The signals that `run` hears, from its first moment on.
//!
//! What always holds: once [`RunSignals::listen`] returns, SIGHUP, SIGTERM and SIGINT end nothing by themselves, and none of
//! them is forgotten: what comes while nobody waits is there for who waits next. What comes during the start means what
//! it means after it. Before `listen` the process has done nothing, and a signal ends it as it would any other.

use std::{io, time::Duration};

use tokio::{
    runtime::Builder,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinHandle,
    time::sleep,
};

/// How long each part of a start goes on once a stop was asked for: it may hang.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct RunSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A stop was asked for while it started.
    stop_asked: bool,
}

/// What a signal asks of what runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalOrder {
    Reload,
    Stop,
}

impl RunSignals {
    /// Hears them from now on, for as long as the process lives.
    pub(super) fn listen() -> io::Result<Self> {
        // Handlers are the process's, and can be asked for in a runtime only: this one needs no thread and is there at once.
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let _inside = runtime.enter();
        let signals = Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop_asked: false,
        };
        // Where files may not grow any more (`ulimit -f`) a write is to fail, and not to end the process.
        let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        Ok(signals)
    }

    /// Waits for a part of the start, also where a stop is asked for meanwhile. `None` where it is not waited for any
    /// longer: a second signal came, or it hangs.
    pub(super) async fn wait_for<T>(&mut self, mut part: JoinHandle<T>) -> Option<T> {
        loop {
            tokio::select! {
                biased;
                () = self.stop() => {
                    if self.stop_asked {
                        return None;
                    }
                    self.stop_asked = true;
                }
                done = &mut part => return Some(done.expect("no part of the start panics")),
                () = sleep(PATIENCE), if self.stop_asked => return None,
            }
        }
    }

    /// What is asked for next. A stop goes before a reload.
    pub(super) async fn order(&mut self) -> SignalOrder {
        if self.stop_asked {
            return SignalOrder::Stop;
        }
        tokio::select! {
            biased;
            _ = self.terminate.recv() => SignalOrder::Stop,
            _ = self.interrupt.recv() => SignalOrder::Stop,
            _ = self.hangup.recv() => SignalOrder::Reload,
        }
    }

    /// SIGTERM or SIGINT comes.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
