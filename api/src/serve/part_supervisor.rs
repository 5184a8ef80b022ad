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
pub(super) enum ShutdownStage {
    /// Takes requests.
    Http,
    /// Publishes events.
    Relay,
    /// Apply events.
    Workers,
}

const SHUTDOWN_STAGES: [ShutdownStage; 3] = [ShutdownStage::Http, ShutdownStage::Relay, ShutdownStage::Workers];

impl ShutdownStage {
    /// What it has of the time in which a service has to stop. Clients may take their time; what they were promised is
    /// written after them, with a share of its own.
    fn timeout_share(self, patience: Duration) -> Duration {
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
pub(super) struct PartSupervisor {
    tasks: JoinSet<Result<(), ServeError>>,
    running: HashMap<Id, (ShutdownStage, RunningPart)>,
    stop_tokens: [CancellationToken; SHUTDOWN_STAGES.len()],
}

impl PartSupervisor {
    /// Starts a part. It has to end soon after the token it is given is cancelled.
    pub(super) fn spawn_part<F>(
        &mut self,
        stage: ShutdownStage,
        name: &'static str,
        part: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let task = self.tasks.spawn(part(self.stop_tokens[stage as usize].clone()));
        self.running.insert(task.id(), (stage, RunningPart { name, task }));
    }

    /// Waits until a part ends that nobody told to end.
    pub(super) async fn wait_for_unexpected_exit(&mut self) -> Result<(), ServeError> {
        match self.next_exit().await {
            Some((part, Ok(()))) => Err(ServeError::UnexpectedExit { part }),
            Some((_, failed)) => failed,
            None => Ok(()),
        }
    }

    /// Tells the parts to stop, stage by stage, and waits for them: for `patience` altogether, of which each stage has a
    /// share of its own, and what those before it left over. A stage that is slow is left behind at the end of its
    /// share, so that what others were given to do is done.
    pub(super) async fn drain_stages(&mut self, patience: Duration) -> Result<(), ServeError> {
        let mut deadline = Instant::now();
        let mut outcome = Ok(());
        for stage in SHUTDOWN_STAGES {
            deadline += stage.timeout_share(patience);
            self.stop_tokens[stage as usize].cancel();
            while let Some(part) = self.find_running_part(stage) {
                match tokio::time::timeout_at(deadline, self.next_exit()).await {
                    Ok(Some((_, ended))) => outcome = outcome.and(ended),
                    Ok(None) => break,
                    Err(_elapsed) => {
                        tracing::warn!(part, "a part did not come to its end in time and is left behind");
                        outcome = outcome.and(Err(ServeError::DrainTimeout { part }));
                        self.abort_stage(stage);
                    }
                }
            }
        }
        outcome
    }

    /// Ends what a stage still does, and counts it no more.
    fn abort_stage(&mut self, stage: ShutdownStage) {
        self.running.retain(|_, (of, part)| {
            if *of == stage {
                part.abort();
            }
            *of != stage
        });
    }

    fn find_running_part(&self, stage: ShutdownStage) -> Option<&'static str> {
        self.running.values().find(|(of, _)| *of == stage).map(|(_, part)| part.name)
    }

    async fn next_exit(&mut self) -> Option<(&'static str, Result<(), ServeError>)> {
        loop {
            let (id, ended) = match self.tasks.join_next_with_id().await? {
                Ok((id, ended)) => (id, Ok(ended)),
                Err(broken) => (broken.id(), Err(broken)),
            };
            // What was left behind is no news.
            if let Some((_, RunningPart { name: part, .. })) = self.running.remove(&id) {
                return Some((part, ended.unwrap_or_else(|source| Err(ServeError::PartPanicked { part, source }))));
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
        let mut parts = PartSupervisor::default();
        for (stage, name) in
            [(ShutdownStage::Workers, "workers"), (ShutdownStage::Http, "http"), (ShutdownStage::Relay, "relay")]
        {
            let stopped = Arc::clone(&stopped);
            parts.spawn_part(stage, name, |stop| async move {
                stop.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        parts.drain_stages(PATIENCE).await.unwrap();
        assert_eq!(*stopped.lock().unwrap(), ["http", "relay", "workers"]);
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_noticed() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Relay, "the relay", |_| async { Ok(()) });
        assert!(matches!(
            parts.wait_for_unexpected_exit().await,
            Err(ServeError::UnexpectedExit { part: "the relay" })
        ));
    }

    #[tokio::test]
    async fn a_part_that_panics_is_noticed() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Workers, "views", |_| async { panic!("planted") });
        assert!(matches!(parts.wait_for_unexpected_exit().await, Err(ServeError::PartPanicked { part: "views", .. })));
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_takes_no_time_from_the_others() {
        let (told, mut drained) = tokio::sync::mpsc::unbounded_channel();
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Http, "HTTP", |_| std::future::pending());
        for (stage, name) in [(ShutdownStage::Relay, "ingest"), (ShutdownStage::Workers, "workers")] {
            let told = told.clone();
            parts.spawn_part(stage, name, |stop| async move {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                told.send(name).unwrap();
                Ok(())
            });
        }
        let outcome = parts.drain_stages(Duration::from_secs(2)).await;
        assert!(matches!(outcome, Err(ServeError::DrainTimeout { part: "HTTP" })), "{outcome:?}");
        assert_eq!([drained.try_recv().unwrap(), drained.try_recv().unwrap()], ["ingest", "workers"]);
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_is_named() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Http, "HTTP", |_| std::future::pending());
        let drained = parts.drain_stages(Duration::from_millis(20)).await;
        assert!(matches!(drained, Err(ServeError::DrainTimeout { part: "HTTP" })));
    }
}
