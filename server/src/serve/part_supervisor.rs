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
    /// Takes requests, and writes what was taken in with them.
    Http,
    /// Publishes events.
    Relay,
    /// Apply events.
    Workers,
}

const SHUTDOWN_STAGES: [ShutdownStage; 3] = [ShutdownStage::Http, ShutdownStage::Relay, ShutdownStage::Workers];

impl ShutdownStage {
    /// What it has of the time in which a service has to stop. Clients may take their time; what is to be published has a
    /// share of its own.
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
    stage: ShutdownStage,
    /// How long it may take to stop; `None` where it has what its stage has.
    drain_timeout: Option<Duration>,
    task: AbortHandle,
}

/// Says what a part has not done at the end although it was promised.
type LossCheck = Box<dyn Fn() -> Result<(), ServeError> + Send + Sync>;

/// The running parts.
#[derive(Default)]
pub(super) struct PartSupervisor {
    tasks: JoinSet<Result<(), ServeError>>,
    running: HashMap<Id, RunningPart>,
    stop_tokens: [CancellationToken; SHUTDOWN_STAGES.len()],
    loss_checks: Vec<LossCheck>,
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
        self.spawn_running_part(stage, name, None, part);
    }

    /// Starts a part that has a time of its own to stop, from when its stage is told to, however long the others of its
    /// stage take.
    pub(super) fn spawn_part_with_timeout<F>(
        &mut self,
        stage: ShutdownStage,
        name: &'static str,
        drain_timeout: Duration,
        part: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        self.spawn_running_part(stage, name, Some(drain_timeout), part);
    }

    fn spawn_running_part<F>(
        &mut self,
        stage: ShutdownStage,
        name: &'static str,
        drain_timeout: Option<Duration>,
        part: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<(), ServeError>> + Send + 'static,
    {
        let task = self.tasks.spawn(part(self.stop_tokens[stage as usize].clone()));
        self.running.insert(task.id(), RunningPart { name, stage, drain_timeout, task });
    }

    /// Asks `check` at the end whether something that was promised has not been done.
    pub(super) fn add_loss_check(&mut self, check: impl Fn() -> Result<(), ServeError> + Send + Sync + 'static) {
        self.loss_checks.push(Box::new(check));
    }

    /// Logs what was promised and has not been done, and answers the first of it.
    pub(super) fn check_losses(&self) -> Result<(), ServeError> {
        let mut outcome = Ok(());
        for check in &self.loss_checks {
            let checked = check();
            if let Err(error) = &checked {
                tracing::error!(error = error as &dyn std::error::Error, "a promise is not kept at the end");
            }
            outcome = outcome.and(checked);
        }
        outcome
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
    /// share of its own, and what those before it left over. A part with a time of its own has that, and takes nothing
    /// from the later stages. A part that is slow is left behind at the end of its time, so that what others were given to
    /// do is done.
    pub(super) async fn drain_stages(&mut self, patience: Duration) -> Result<(), ServeError> {
        let mut deadline = Instant::now();
        let mut outcome = Ok(());
        for stage in SHUTDOWN_STAGES {
            let start = Instant::now();
            deadline = deadline.max(start) + stage.timeout_share(patience);
            self.stop_tokens[stage as usize].cancel();
            while let Some((id, part_deadline)) = self.find_next_deadline(stage, start, deadline) {
                match tokio::time::timeout_at(part_deadline, self.next_exit()).await {
                    Ok(Some((_, ended))) => outcome = outcome.and(ended),
                    Ok(None) => break,
                    Err(_elapsed) => outcome = outcome.and(self.abort_part(id)),
                }
            }
        }
        outcome
    }

    /// The part of a stage whose time ends first, and when. The stage was told to stop at `start` and has until `deadline`.
    fn find_next_deadline(&self, stage: ShutdownStage, start: Instant, deadline: Instant) -> Option<(Id, Instant)> {
        let of_stage = self.running.iter().filter(|(_, part)| part.stage == stage);
        let deadlines = of_stage.map(|(id, part)| (*id, part.drain_timeout.map_or(deadline, |own| start + own)));
        deadlines.min_by_key(|(_, deadline)| *deadline)
    }

    /// Ends what a part still does, and counts it no more.
    fn abort_part(&mut self, id: Id) -> Result<(), ServeError> {
        let Some(RunningPart { name: part, task, .. }) = self.running.remove(&id) else { return Ok(()) };
        tracing::warn!(part, "a part did not come to its end in time and is left behind");
        task.abort();
        Err(ServeError::DrainTimeout { part })
    }

    async fn next_exit(&mut self) -> Option<(&'static str, Result<(), ServeError>)> {
        loop {
            let (id, ended) = match self.tasks.join_next_with_id().await? {
                Ok((id, ended)) => (id, Ok(ended)),
                Err(broken) => (broken.id(), Err(broken)),
            };
            // What was left behind is no news.
            if let Some(RunningPart { name: part, .. }) = self.running.remove(&id) {
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
    async fn ingest_drains_beside_http_and_has_its_own_time() {
        let (told, hear) = tokio::sync::oneshot::channel();
        let mut parts = PartSupervisor::default();
        // Does not end before ingest has: one after the other would never come to an end.
        parts.spawn_part(ShutdownStage::Http, "HTTP", |stop| async move {
            stop.cancelled().await;
            hear.await.unwrap();
            Ok(())
        });
        parts.spawn_part_with_timeout(ShutdownStage::Http, "ingest", PATIENCE, |stop| async move {
            stop.cancelled().await;
            told.send(()).unwrap();
            Ok(())
        });
        parts.drain_stages(PATIENCE).await.unwrap();

        let mut parts = PartSupervisor::default();
        let (http_gone, is_http_gone) = tokio::sync::oneshot::channel::<()>();
        parts.spawn_part(ShutdownStage::Http, "HTTP", |_| async move {
            // Dropped with the part when it is left behind.
            let _http_gone = http_gone;
            std::future::pending().await
        });
        let (told, mut hear) = tokio::sync::oneshot::channel();
        parts.spawn_part_with_timeout(ShutdownStage::Http, "ingest", PATIENCE, |stop| async move {
            stop.cancelled().await;
            // Still at work when the stage's share has ended and HTTP is left behind.
            assert!(is_http_gone.await.is_err());
            told.send(()).unwrap();
            Ok(())
        });
        let outcome = parts.drain_stages(Duration::from_millis(20)).await;
        assert!(matches!(outcome, Err(ServeError::DrainTimeout { part: "HTTP" })), "{outcome:?}");
        hear.try_recv().unwrap();
    }

    #[test]
    fn what_was_promised_and_not_done_is_the_outcome() {
        let mut parts = PartSupervisor::default();
        parts.check_losses().unwrap();
        parts.add_loss_check(|| Ok(()));
        parts.add_loss_check(|| Err(ServeError::EventsLost { events: 3 }));
        assert!(matches!(parts.check_losses(), Err(ServeError::EventsLost { events: 3 })));
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_is_named() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Http, "HTTP", |_| std::future::pending());
        let drained = parts.drain_stages(Duration::from_millis(20)).await;
        assert!(matches!(drained, Err(ServeError::DrainTimeout { part: "HTTP" })));
    }
}
