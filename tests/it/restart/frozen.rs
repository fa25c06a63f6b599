//! A state directory whose disk does not answer for a while.

use std::time::{Duration, Instant};

use crate::{
    disk::Disk,
    receiver::Receiver,
    tail::{assert_exactly, tailing},
    tools::{has, skipped, works},
};

const LOG: &str = "logs/audit.ndjson";

/// Every write to the disk hangs until this is dropped.
struct Frozen(String);

impl Frozen {
    fn disk(disk: &Disk) -> Self {
        let at = disk.at.display().to_string();
        assert!(works(&["fsfreeze", "--freeze", &at]));
        Self(at)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        works(&["fsfreeze", "--unfreeze", &self.0]);
    }
}

// C19
#[test]
fn while_the_disk_hangs_nothing_is_sent_unannounced_the_pages_answer_and_afterwards_all_goes_once() {
    let test = "while_the_disk_hangs_nothing_is_sent_unannounced_the_pages_answer_and_afterwards_all_goes_once";
    if !has("fsfreeze") {
        return skipped(test, "fsfreeze is not in PATH");
    }
    let receiver = Receiver::start();
    let sidecar = tailing("logs/*.ndjson", &receiver);
    let Some(disk) = Disk::mounted(test, sidecar.path("state.image"), sidecar.path("state")) else { return };
    let mut sidecar = sidecar.start();
    sidecar.write_lines(LOG, 0..10);
    receiver.wait_for_lines(10);
    sidecar.wait_for_metrics("all to be settled", |metrics| metrics.events("siem", "delivered") == 10);
    {
        let _frozen = Frozen::disk(&disk);
        sidecar.write_lines(LOG, 10..30);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert_eq!(sidecar.get("/metrics").0, 200);
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(receiver.accepted_lines().len(), 10, "a batch whose intent is not written is not sent");
    }
    receiver.wait_for_lines(30);
    sidecar.wait_for_metrics("all to be settled", |metrics| metrics.events("siem", "delivered") == 30);
    sidecar.assert_books_balance();
    assert_exactly(&mut sidecar, &receiver, 0..30);
}
