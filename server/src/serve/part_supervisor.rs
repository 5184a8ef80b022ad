//! Runs the parts of a service as tasks: notices every exit, and stops the parts stage by stage.

use std::{collections::HashMap, future::Future, time::Duration};

use tokio::{
    task::{AbortHandle, Id, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::ServeError;

/// The stages of a shutdown: the edges stop first, then the parts that process recorded events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShutdownStage {
    /// Parts that accept requests or claim tasks, and that record what came of them.
    Edges,
    /// The relay, which publishes events.
    Relay,
    /// Workers, which apply events, and background tasks.
    Workers,
    /// The export of metrics, which has the last values of all others.
    Telemetry,
}

const SHUTDOWN_STAGES: [ShutdownStage; 4] =
    [ShutdownStage::Edges, ShutdownStage::Relay, ShutdownStage::Workers, ShutdownStage::Telemetry];

impl ShutdownStage {
    /// Returns the stage's share of the shutdown timeout. Each stage has its own share, so that slow clients do not use
    /// the time of the relay.
    fn timeout_share(self, shutdown_timeout: Duration) -> Duration {
        match self {
            Self::Edges => shutdown_timeout / 2,
            Self::Relay | Self::Workers => shutdown_timeout / 4,
            // Its part has its own drain timeout.
            Self::Telemetry => Duration::ZERO,
        }
    }
}

struct RunningPart {
    name: &'static str,
    stage: ShutdownStage,
    /// How long it may take to stop; `None` if the share of its stage applies.
    drain_timeout: Option<Duration>,
    task: AbortHandle,
}

/// Returns an error if a part has acknowledged work that it has not done.
type LossCheck = Box<dyn Fn() -> Result<(), ServeError> + Send + Sync>;

/// Supervises the running parts.
#[derive(Default)]
pub(super) struct PartSupervisor {
    tasks: JoinSet<Result<(), ServeError>>,
    running: HashMap<Id, RunningPart>,
    stop_tokens: [CancellationToken; SHUTDOWN_STAGES.len()],
    stop_announcement: CancellationToken,
    loss_checks: Vec<LossCheck>,
}

impl PartSupervisor {
    /// Starts a part. It must end soon after its token is cancelled.
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

    /// Starts a part with its own drain timeout, which begins when its stage is stopped and replaces the share of its
    /// stage.
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

    /// Cancelled by [`Self::announce_stop`], for parts that announce to others that the process is about to stop.
    pub(super) fn stop_announcement(&self) -> CancellationToken {
        self.stop_announcement.clone()
    }

    /// Announces that the parts will be stopped. They go on until [`Self::drain_stages`].
    pub(super) fn announce_stop(&self) {
        self.stop_announcement.cancel();
    }

    /// Adds a check that [`Self::check_losses`] runs.
    pub(super) fn add_loss_check(&mut self, check: impl Fn() -> Result<(), ServeError> + Send + Sync + 'static) {
        self.loss_checks.push(Box::new(check));
    }

    /// Runs all loss checks, logs each failure, and returns the first one.
    pub(super) fn check_losses(&self) -> Result<(), ServeError> {
        let mut outcome = Ok(());
        for check in &self.loss_checks {
            let result = check();
            if let Err(error) = &result {
                tracing::error!(error = error as &dyn std::error::Error, "acknowledged work was not completed");
            }
            outcome = outcome.and(result);
        }
        outcome
    }

    /// Waits until a part ends although it was not stopped.
    pub(super) async fn wait_for_unexpected_exit(&mut self) -> Result<(), ServeError> {
        match self.next_exit().await {
            Some((part, Ok(()))) => Err(ServeError::UnexpectedExit { part }),
            Some((_, failure)) => failure,
            None => Ok(()),
        }
    }

    /// Waits for the time between the announcement of a stop and the stop, or until a part ends although it was not
    /// stopped yet: a process that has lost a part must not go on answering requests.
    pub(super) async fn wait_for_stop_delay(&mut self, stop_delay: Duration) -> Result<(), ServeError> {
        if stop_delay.is_zero() {
            return Ok(());
        }
        tokio::time::timeout(stop_delay, self.wait_for_unexpected_exit()).await.unwrap_or(Ok(()))
    }

    /// Stops the parts stage by stage, and waits for them, in total for `shutdown_timeout`. Each stage has a share of
    /// it, and the time that the stages before it did not use. A part with its own drain timeout does not shorten the
    /// shares of later stages. A part that exceeds its time is aborted, so that the others can complete their work.
    pub(super) async fn drain_stages(&mut self, shutdown_timeout: Duration) -> Result<(), ServeError> {
        let mut deadline = Instant::now();
        let mut outcome = Ok(());
        for stage in SHUTDOWN_STAGES {
            let start = Instant::now();
            deadline = deadline.max(start) + stage.timeout_share(shutdown_timeout);
            self.stop_tokens[stage as usize].cancel();
            while let Some((id, part_deadline)) = self.find_next_deadline(stage, start, deadline) {
                match tokio::time::timeout_at(part_deadline, self.next_exit()).await {
                    Ok(Some((_, exit))) => outcome = outcome.and(exit),
                    Ok(None) => break,
                    Err(_elapsed) => outcome = outcome.and(self.abort_part(id)),
                }
            }
        }
        outcome
    }

    /// Returns the part of a stage whose deadline is first, with the deadline. The stage was stopped at `start` and has
    /// until `deadline`.
    fn find_next_deadline(&self, stage: ShutdownStage, start: Instant, deadline: Instant) -> Option<(Id, Instant)> {
        let stage_parts = self.running.iter().filter(|(_, part)| part.stage == stage);
        let deadlines = stage_parts.map(|(id, part)| (*id, part.drain_timeout.map_or(deadline, |own| start + own)));
        deadlines.min_by_key(|(_, deadline)| *deadline)
    }

    /// Aborts a part and forgets it.
    fn abort_part(&mut self, id: Id) -> Result<(), ServeError> {
        let Some(RunningPart { name: part, task, .. }) = self.running.remove(&id) else { return Ok(()) };
        tracing::warn!(part, "part did not stop in time, aborting it");
        task.abort();
        Err(ServeError::DrainTimeout { part })
    }

    async fn next_exit(&mut self) -> Option<(&'static str, Result<(), ServeError>)> {
        loop {
            let (id, exit) = match self.tasks.join_next_with_id().await? {
                Ok((id, exit)) => (id, Ok(exit)),
                Err(error) => (error.id(), Err(error)),
            };
            // The exit of an aborted part is not reported again.
            if let Some(RunningPart { name: part, .. }) = self.running.remove(&id) {
                return Some((part, exit.unwrap_or_else(|source| Err(ServeError::PartPanicked { part, source }))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn parts_stop_stage_by_stage() {
        let stopped = Arc::new(Mutex::new(Vec::new()));
        let mut parts = PartSupervisor::default();
        for (stage, name) in
            [(ShutdownStage::Workers, "workers"), (ShutdownStage::Edges, "http"), (ShutdownStage::Relay, "relay")]
        {
            let stopped = Arc::clone(&stopped);
            parts.spawn_part(stage, name, |stop| async move {
                stop.cancelled().await;
                stopped.lock().unwrap().push(name);
                Ok(())
            });
        }
        parts.drain_stages(SHUTDOWN_TIMEOUT).await.unwrap();
        assert_eq!(*stopped.lock().unwrap(), ["http", "relay", "workers"]);
    }

    #[tokio::test]
    async fn a_part_that_ends_unexpectedly_is_an_error() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Relay, "the relay", |_| async { Ok(()) });
        assert!(matches!(
            parts.wait_for_unexpected_exit().await,
            Err(ServeError::UnexpectedExit { part: "the relay" })
        ));
    }

    #[tokio::test]
    async fn a_part_that_ends_during_the_stop_delay_ends_the_delay() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Workers, "views", |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        // It does not count as ended while it runs.
        parts.wait_for_stop_delay(Duration::from_millis(1)).await.unwrap();
        parts.spawn_part(ShutdownStage::Edges, "HTTP", |_| async { Ok(()) });
        let waited = parts.wait_for_stop_delay(Duration::from_hours(1)).await;
        assert!(matches!(waited, Err(ServeError::UnexpectedExit { part: "HTTP" })), "{waited:?}");
        parts.drain_stages(SHUTDOWN_TIMEOUT).await.unwrap();
    }

    #[tokio::test]
    async fn a_part_that_panics_is_an_error() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Workers, "views", |_| async { panic!("planted") });
        assert!(matches!(parts.wait_for_unexpected_exit().await, Err(ServeError::PartPanicked { part: "views", .. })));
    }

    #[tokio::test]
    async fn a_part_that_does_not_stop_uses_no_time_of_later_stages() {
        let (stopped, mut stopped_parts) = tokio::sync::mpsc::unbounded_channel();
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Edges, "HTTP", |_| std::future::pending());
        for (stage, name) in [(ShutdownStage::Relay, "ingest"), (ShutdownStage::Workers, "workers")] {
            let stopped = stopped.clone();
            parts.spawn_part(stage, name, |stop| async move {
                stop.cancelled().await;
                tokio::time::sleep(Duration::from_millis(10)).await;
                stopped.send(name).unwrap();
                Ok(())
            });
        }
        let outcome = parts.drain_stages(Duration::from_secs(2)).await;
        assert!(matches!(outcome, Err(ServeError::DrainTimeout { part: "HTTP" })), "{outcome:?}");
        assert_eq!([stopped_parts.try_recv().unwrap(), stopped_parts.try_recv().unwrap()], ["ingest", "workers"]);
    }

    #[tokio::test]
    async fn ingest_drains_concurrently_with_http_and_has_its_own_timeout() {
        let (ingest_stopped, wait_for_ingest) = tokio::sync::oneshot::channel();
        let mut parts = PartSupervisor::default();
        // Ends only after ingest has: if the parts were stopped one after the other, this would time out.
        parts.spawn_part(ShutdownStage::Edges, "HTTP", |stop| async move {
            stop.cancelled().await;
            wait_for_ingest.await.unwrap();
            Ok(())
        });
        parts.spawn_part_with_timeout(ShutdownStage::Edges, "ingest", SHUTDOWN_TIMEOUT, |stop| async move {
            stop.cancelled().await;
            ingest_stopped.send(()).unwrap();
            Ok(())
        });
        parts.drain_stages(SHUTDOWN_TIMEOUT).await.unwrap();

        let mut parts = PartSupervisor::default();
        let (http_guard, http_aborted) = tokio::sync::oneshot::channel::<()>();
        parts.spawn_part(ShutdownStage::Edges, "HTTP", |_| async move {
            // Dropped with the part when it is aborted.
            let _http_guard = http_guard;
            std::future::pending().await
        });
        let (ingest_stopped, mut ingest_outcome) = tokio::sync::oneshot::channel();
        parts.spawn_part_with_timeout(ShutdownStage::Edges, "ingest", SHUTDOWN_TIMEOUT, |stop| async move {
            stop.cancelled().await;
            // Continues after the stage's share has ended and HTTP is aborted.
            assert!(http_aborted.await.is_err());
            ingest_stopped.send(()).unwrap();
            Ok(())
        });
        let outcome = parts.drain_stages(Duration::from_millis(20)).await;
        assert!(matches!(outcome, Err(ServeError::DrainTimeout { part: "HTTP" })), "{outcome:?}");
        ingest_outcome.try_recv().unwrap();
    }

    #[test]
    fn a_failed_loss_check_is_the_outcome() {
        let mut parts = PartSupervisor::default();
        parts.check_losses().unwrap();
        parts.add_loss_check(|| Ok(()));
        parts.add_loss_check(|| Err(ServeError::EventsLost { events: 3 }));
        assert!(matches!(parts.check_losses(), Err(ServeError::EventsLost { events: 3 })));
    }

    #[tokio::test]
    async fn the_drain_timeout_names_the_part_that_does_not_stop() {
        let mut parts = PartSupervisor::default();
        parts.spawn_part(ShutdownStage::Edges, "HTTP", |_| std::future::pending());
        let drained = parts.drain_stages(Duration::from_millis(20)).await;
        assert!(matches!(drained, Err(ServeError::DrainTimeout { part: "HTTP" })));
    }
}
