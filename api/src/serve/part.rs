//! The parts of a service as tasks: every end is looked at, and they are taken down stage by stage.

use std::{collections::HashMap, future::Future, time::Duration};

use tokio::{
    task::{Id, JoinSet},
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

/// The running parts.
#[derive(Default)]
pub(super) struct Parts {
    tasks: JoinSet<Result<(), ServeError>>,
    running: HashMap<Id, (Stage, &'static str)>,
    stop: [CancellationToken; STAGES.len()],
}

impl Parts {
    /// Starts a part. It has to end soon after the token it is given is cancelled.
    pub(super) fn start<F>(&mut self, stage: Stage, name: &'static str, part: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let task = self.tasks.spawn(part(self.stop[stage as usize].clone()));
        self.running.insert(task.id(), (stage, name));
    }

    /// Waits until a part ends that nobody told to end.
    pub(super) async fn first_end(&mut self) -> Result<(), ServeError> {
        match self.next_end().await {
            Some((part, Ok(()))) => Err(ServeError::EndedByItself { part }),
            Some((_, failed)) => failed,
            None => Ok(()),
        }
    }

    /// Tells the parts to stop, stage by stage, and waits for them, for `patience` altogether.
    pub(super) async fn drain(&mut self, patience: Duration) -> Result<(), ServeError> {
        let deadline = Instant::now() + patience;
        let mut outcome = Ok(());
        for stage in STAGES {
            self.stop[stage as usize].cancel();
            while let Some(part) = self.running_in(stage) {
                match tokio::time::timeout_at(deadline, self.next_end()).await {
                    Ok(Some((_, ended))) => outcome = outcome.and(ended),
                    Ok(None) => break,
                    Err(_elapsed) => return outcome.and(Err(ServeError::NotDrained { part })),
                }
            }
        }
        outcome
    }

    fn running_in(&self, stage: Stage) -> Option<&'static str> {
        self.running.values().find(|(of, _)| *of == stage).map(|(_, name)| *name)
    }

    async fn next_end(&mut self) -> Option<(&'static str, Result<(), ServeError>)> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ended)) => (id, Ok(ended)),
            Err(broken) => (broken.id(), Err(broken)),
        };
        let (_, part) = self.running.remove(&id).unwrap_or((Stage::Http, "a part"));
        Some((part, ended.unwrap_or_else(|source| Err(ServeError::BrokeOff { part, source }))))
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
    async fn a_part_that_does_not_stop_is_named() {
        let mut parts = Parts::default();
        parts.start(Stage::Http, "HTTP", |_| std::future::pending());
        let drained = parts.drain(Duration::from_millis(20)).await;
        assert!(matches!(drained, Err(ServeError::NotDrained { part: "HTTP" })));
    }
}
