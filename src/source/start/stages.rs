//! The tasks of a source, in the order in which events pass them: files or a socket first, the spool last.
//!
//! What always holds: at the stop each is stopped once the one before it has ended, so that all that was taken passes
//! on; one that has nothing left to do (an input that ended) leaves the others running until then. Where one panics
//! the source ends soon, to be started anew: all but the last are stopped together and cut off where they do not end, for
//! what they have is read again; the last still writes what it was given.

use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};

use tokio::time::{Instant, timeout_at};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// How long those may take to end that are stopped because another panicked. An abort at once would leave what they do on
/// the blocking pool going on, beside the source that is started anew in the same files.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// Tasks that run. They end with this.
#[derive(Default)]
pub(super) struct Stages(Vec<Stage>);

struct Stage {
    /// `None` once it has ended.
    task: Option<AbortOnDropHandle<()>>,
    stop: CancellationToken,
}

impl Stages {
    /// Starts the next task, which ends at its stop.
    pub(super) fn add<F>(&mut self, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(run(stop.clone())));
        self.0.push(Stage { task: Some(task), stop });
    }

    /// Completes after the stop, or where one panicked.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.panicked() => self.cut_off_all_but_the_last().await,
        }
        for Stage { task, stop } in self.0 {
            let Some(task) = task else { continue };
            stop.cancel();
            let _ = task.await;
        }
    }

    async fn cut_off_all_but_the_last(&mut self) {
        let Some((_, stages)) = self.0.split_last_mut() else { return };
        let end = Instant::now() + LAST_STEPS;
        stages.iter().for_each(|stage| stage.stop.cancel());
        for task in stages.iter_mut().filter_map(|stage| stage.task.as_mut()) {
            if timeout_at(end, &mut *task).await.is_err() {
                task.abort();
                let _ = task.await;
            }
        }
        stages.iter_mut().for_each(|stage| stage.task = None);
    }

    /// Completes where one panics.
    async fn panicked(&mut self) {
        poll_fn(|context| {
            for stage in &mut self.0 {
                let Some(task) = &mut stage.task else { continue };
                if let Poll::Ready(ended) = Pin::new(task).poll(context) {
                    stage.task = None;
                    if ended.is_err() {
                        return Poll::Ready(());
                    }
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tokio::{
        sync::Notify,
        time::{sleep, timeout},
    };

    use super::*;

    type Said = Arc<Mutex<Vec<&'static str>>>;

    /// Says when it ends, if it ends by its stop; that takes a while.
    fn add(stages: &mut Stages, name: &'static str, said: &Said) {
        let said = said.clone();
        stages.add(|stop| async move {
            stop.cancelled().await;
            sleep(Duration::from_millis(100)).await;
            said.lock().unwrap().push(name);
        });
    }

    /// Ends when it is told to, with or without a panic.
    fn add_fragile(stages: &mut Stages, panics: bool) -> Arc<Notify> {
        let end = Arc::new(Notify::new());
        let ends = end.clone();
        stages.add(|_| async move {
            ends.notified().await;
            assert!(!panics, "on purpose");
        });
        end
    }

    #[tokio::test(start_paused = true)]
    async fn each_stops_after_the_one_before_it_and_one_that_ended_leaves_the_others() {
        let (said, stop, mut stages) = (Said::default(), CancellationToken::new(), Stages::default());
        let end = add_fragile(&mut stages, false);
        ["files", "copier", "spool"].iter().for_each(|name| add(&mut stages, name, &said));
        let task = tokio::spawn(stages.run(stop.clone()));
        end.notify_one();
        sleep(Duration::from_secs(1)).await;
        assert!(said.lock().unwrap().is_empty() && !task.is_finished());
        stop.cancel();
        sleep(Duration::from_millis(150)).await;
        assert_eq!(*said.lock().unwrap(), ["files"], "only then is the next one stopped");
        task.await.unwrap();
        assert_eq!(*said.lock().unwrap(), ["files", "copier", "spool"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_one_panics_the_others_have_a_moment_to_end_and_the_last_writes_what_it_has() {
        let (said, mut stages) = (Said::default(), Stages::default());
        add(&mut stages, "files", &said);
        let panic = add_fragile(&mut stages, true);
        // It has much to do still.
        stages.add(|_| std::future::pending());
        let slow = said.clone();
        stages.add(|stop| async move {
            stop.cancelled().await;
            sleep(LAST_STEPS * 3).await;
            slow.lock().unwrap().push("spool");
        });
        let begun = Instant::now();
        let task = tokio::spawn(stages.run(CancellationToken::new()));
        panic.notify_one();
        timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
        assert_eq!(*said.lock().unwrap(), ["files", "spool"]);
        assert!(begun.elapsed() < LAST_STEPS * 4 + Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn none_outlives_the_task_that_looks_after_them() {
        let (held, mut stages) = (Arc::new(()), Stages::default());
        let holds = held.clone();
        stages.add(|_| async move {
            let _holds = holds;
            std::future::pending::<()>().await;
        });
        let task = tokio::spawn(stages.run(CancellationToken::new()));
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.is_err());
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
