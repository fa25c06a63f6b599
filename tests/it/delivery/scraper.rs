//! Scrapes all through a test: the books must balance at every moment, and no counter may go down.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{http, metrics::Metrics};

/// A thread that scrapes until it is dropped or the process is gone; dropping it fails the test where a scrape did.
pub struct Scraper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<usize>>,
}

impl Scraper {
    pub fn start(admin: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = stop.clone();
            thread::spawn(move || scrape(admin, &stop))
        };
        Self { stop, thread: Some(thread) }
    }

    /// Ends it after a kill, which may have come before the first scrape: none is no failure then, a wrong one is.
    pub fn end_killed(mut self) {
        let scrapes = self.thread.take().map(JoinHandle::join);
        assert!(matches!(scrapes, Some(Ok(_))), "a scrape failed: {scrapes:?}");
    }
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(thread) = self.thread.take() else { return };
        let scrapes = thread.join();
        if !thread::panicking() {
            assert!(matches!(scrapes, Ok(1..)), "a scrape failed, or there was none: {scrapes:?}");
        }
    }
}

fn scrape(admin: SocketAddr, stop: &AtomicBool) -> usize {
    let mut scrapes = 0;
    let mut last = Metrics::default();
    // Once at least, however soon the test is over.
    while !stop.load(Ordering::Relaxed) || scrapes == 0 {
        let Ok((200, _, page)) = http::get(admin, "/metrics") else { return scrapes };
        let metrics = Metrics::parse(&page);
        if metrics.is_empty() && scrapes == 0 {
            continue; // It listens before the forwarders are open.
        }
        metrics.assert_books_balance();
        metrics.assert_no_counter_below(&last);
        last = metrics;
        scrapes += 1;
        thread::sleep(Duration::from_millis(3));
    }
    scrapes
}
