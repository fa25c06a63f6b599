//! The tasks of all sources, for whoever has to stop them while what started them is still at it.

use std::time::Duration;

use tokio::{task::JoinHandle, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Clones share the tasks.
#[derive(Clone, Default)]
pub struct SourceTasks {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl SourceTasks {
    /// Starts the task of a source, which ends at its own stop or at that of all.
    pub(super) fn spawn<F>(&self, run: impl FnOnce(CancellationToken) -> F) -> (CancellationToken, JoinHandle<()>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.child_token();
        let task = self.tasks.spawn(run(stop.clone()));
        (stop, task)
    }

    /// Stops all sources, those that are started later too. False where one has not ended in time.
    pub async fn stop_within(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        timeout(limit, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn all_are_stopped_those_that_start_later_too_and_who_does_not_end_is_told() {
        let tasks = SourceTasks::default();
        let (own, _) = tasks.spawn(|stop| async move { stop.cancelled().await });
        let (other, _) = tasks.spawn(|stop| async move { stop.cancelled().await });
        own.cancel();
        assert!(!other.is_cancelled(), "each has a stop of its own");
        assert!(tasks.stop_within(LIMIT).await && other.is_cancelled());
        let (late, _) = tasks.spawn(|_| std::future::pending());
        assert!(late.is_cancelled() && !tasks.stop_within(LIMIT).await);
    }
}
