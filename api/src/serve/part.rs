//! The parts of a service as tasks: every end is looked at, and they are taken down stage by stage.

use std::{collections::HashMap, future::Future, time::Duration};

use tokio::{
    task::{AbortHandle, Id, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::ServeError;

/// The order in which parts stop: first nothing new comes in, then what is on record travels on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Takes requests.
    Http,
    /// Publishes events.
    Relay,
    /// Apply events.
    Workers,
}

const STAGES: [Stage; 3] = [Stage::Http, Stage::Relay, Stage::Workers];

impl Stage {
    /// What it has of the time in which a service has to stop. Clients may take their time; what they were promised is
    /// written after them, with a share of its own.
    fn share(self, patience: Duration) -> Duration {
        match self {
            Self::Http => patience / 2,
            Self::Relay | Self::Workers => patience / 4,
        }
    }
}

/// A part that runs.
struct RunningPart {
    name: &'static str,
    task: AbortHandle,
}

impl RunningPart {
    fn abort(&self) {
        self.task.abort();
    }
}

/// The running parts.
#[derive(Default)]
pub(super) struct Parts {
    tasks: JoinSet<Result<(), ServeError>>,
    running: HashMap<Id, (Stage, RunningPart)>,
    stop: [CancellationToken; STAGES.len()],
}

impl Parts {
    /// Starts a part. It has to end soon after the token it is given is cancelled.
    pub(super) fn start<F>(&mut self, stage: Stage, name: &'static str, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let task = self.tasks.spawn(part(self.stop[stage as usize].clone()));
        self.running.insert(task.id(), (stage, RunningPart { name, task }));
    }

    /// Waits until a part ends that nobody told to end.
    pub(super) async fn first_end(&mut self) -> Result<(), ServeError> {
        match self.next_end().await {
            Some((part, Ok(()))) => Err(ServeError::EndedByItself { part }),
            Some((_, failed)) => failed,
            None => Ok(()),
        }
    }

    /// Tells the parts to stop, stage by stage, and waits for them: for `patience` altogether, of which each stage has a
    /// share of its own, and what those before it left over. A stage that is slow is left behind at the end of its
    /// share, so that what others were given to do is done.
    pub(super) async fn drain(&mut self, patience: Duration) -> Result<(), ServeError> {
        let mut deadline = Instant::now();
        let mut outcome = Ok(());
        for stage in STAGES {
            deadline += stage.share(patience);
            self.stop[stage as usize].cancel();
            while let Some(part) = self.running_in(stage) {
                match tokio::time::timeout_at(deadline, self.next_end()).await {
                    Ok(Some((_, ended))) => outcome = outcome.and(ended),
                    Ok(None) => break,
                    Err(_elapsed) => {
                        tracing::warn!(part, "a part did not come to its end in time and is left behind");
                        outcome = outcome.and(Err(ServeError::NotDrained { part }));
                        self.leave_behind(stage);
                    }
                }
            }
        }
        outcome
    }

    /// Ends what a stage still does, and counts it no more.
    fn leave_behind(&mut self, stage: Stage) {
        self.running.retain(|_, (of, part)| {
            if *of == stage {
                part.abort();
            }
            *of != stage
        });
    }

    fn running_in(&self, stage: Stage) -> Option<&'static str> {
        self.running.values().find(|(of, _)| *of == stage).map(|(_, part)| part.name)
    }

    async fn next_end(&mut self) -> Option<(&'static str, Result<(), ServeError>)> {
        loop {
            let (id, ended) = match self.tasks.join_next_with_id().await? {
                Ok((id, ended)) => (id, Ok(ended)),
                Err(broken) => (broken.id(), Err(broken)),
            };
            // What was left behind is no news.
            if let Some((_, RunningPart { name: part, .. })) = self.running.remove(&id) {
                return Some((part, ended.unwrap_or_else(|source| Err(ServeError::BrokeOff { part, source }))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn parts_stop_stage_by_stage() {
        let stopped = Arc::new(Mutex::new(Vec::new()));
        let mut parts = Parts::default();
        for (stage, name) in [(Stage::Workers, "workers"), (Stage::Http, "http"), (Stage::Relay, "relay")] {
            let stopped = Arc::clone(&stopped);
            parts.start(stage, name, |stop| async move {
                stop.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        parts.drain(PATIENCE).await.unwrap();
        assert_eq!(*stopped.lock().unwrap(), ["http", "relay", "workers"]);
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_noticed() {
        let mut parts = Parts::default();
        parts.start(Stage::Relay, "the relay", |_| async { Ok(()) });
        assert!(matches!(parts.first_end().await, Err(ServeError::EndedByItself { part: "the relay" })));
    }

    #[tokio::test]
    async fn a_part_that_panics_is_noticed() {
        let mut parts = Parts::default();
        parts.start(Stage::Workers, "views", |_| async { panic!("planted") });
        assert!(matches!(parts.first_end().await, Err(ServeError::BrokeOff { part: "views", .. })));
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_takes_no_time_from_the_others() {
        let (told, mut drained) = tokio::sync::mpsc::unbounded_channel();
        let mut parts = Parts::default();
        parts.start(Stage::Http, "HTTP", |_| std::future::pending());
        for (stage, name) in [(Stage::Relay, "ingest"), (Stage::Workers, "workers")] {
            let told = told.clone();
            parts.start(stage, name, |stop| async move {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                told.send(name).unwrap();
                Ok(())
            });
        }
        let outcome = parts.drain(Duration::from_secs(2)).await;
        assert!(matches!(outcome, Err(ServeError::NotDrained { part: "HTTP" })), "{outcome:?}");
        assert_eq!([drained.try_recv().unwrap(), drained.try_recv().unwrap()], ["ingest", "workers"]);
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_is_named() {
        let mut parts = Parts::default();
        parts.start(Stage::Http, "HTTP", |_| std::future::pending());
        let drained = parts.drain(Duration::from_millis(20)).await;
        assert!(matches!(drained, Err(ServeError::NotDrained { part: "HTTP" })));
    }
}
