//! The tasks of a source, in the order in which events pass them: files or a socket first, the spool last.
//!
//! What always holds: at the stop each is stopped once the one before it has ended, so that all that was taken passes
//! on; one that has nothing left to do (an input that ended) leaves the others running until then. Where one panics
//! the source ends at once, to be started anew: those before it are cut off, for nobody takes what they have, and those
//! behind it still write what they were given.

use std::{future::poll_fn, pin::Pin, task::Poll};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

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
        let broken = tokio::select! {
            () = stop.cancelled() => None,
            broken = self.panicked() => Some(broken),
        };
        for (place, Stage { task, stop }) in self.0.into_iter().enumerate() {
            let Some(task) = task else { continue };
            if broken.is_some_and(|broken| place < broken) {
                task.abort();
            }
            stop.cancel();
            let _ = task.await;
        }
    }

    /// The place of the first that panics.
    async fn panicked(&mut self) -> usize {
        poll_fn(|context| {
            for (place, stage) in self.0.iter_mut().enumerate() {
                let Some(task) = &mut stage.task else { continue };
                if let Poll::Ready(ended) = Pin::new(task).poll(context) {
                    stage.task = None;
                    if ended.is_err() {
                        return Poll::Ready(place);
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
    async fn where_one_panics_those_behind_it_write_what_they_have_and_all_end() {
        let (said, mut stages) = (Said::default(), Stages::default());
        add(&mut stages, "files", &said);
        let panic = add_fragile(&mut stages, true);
        add(&mut stages, "spool", &said);
        let task = tokio::spawn(stages.run(CancellationToken::new()));
        panic.notify_one();
        timeout(Duration::from_secs(10), task).await.unwrap().unwrap();
        assert_eq!(*said.lock().unwrap(), ["spool"]);
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
