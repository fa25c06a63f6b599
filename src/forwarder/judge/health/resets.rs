//! Batches whose connection was reset while they were being sent, and which may be too large for that reason: a
//! receiver that closes without reading the rest sends a reset, which can overtake its 413.

use super::{Answer, FailureKind};

/// Resets while sending, after which a batch is suspect.
const SUSPECT: u32 = 3;

/// Resets by batch. It knows as many batches as are in flight at most.
#[derive(Debug, Default)]
pub(super) struct Resets(Vec<(u64, u32)>);

impl Resets {
    /// Counts `answer` for `batch`; true with the third reset. A status ends the suspicion.
    pub(super) fn make_suspect(&mut self, batch: u64, answer: &Answer) -> bool {
        let known = self.0.iter().position(|(number, _)| *number == batch);
        let reset = answer.failure() == Some(FailureKind::Reset { sending: true });
        match known {
            None if reset => self.0.push((batch, 1)),
            Some(at) if reset => {
                self.0[at].1 += 1;
                if self.0[at].1 >= SUSPECT {
                    self.0.swap_remove(at);
                    return true;
                }
            }
            Some(at) if answer.code().is_some() => {
                self.0.swap_remove(at);
            }
            _ => {}
        }
        false
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
