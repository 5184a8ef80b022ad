//! Runs a worker for every generation that has to be kept up to date, and stops it when it has not.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    AnyProjection, GenerationRecord, GenerationState, ProjectionRuntime, RuntimeError, StatusReader, Worker,
    error::error_chain, worker_metrics,
};

/// How often it is looked whether generations have come or gone.
const RECONCILE_INTERVAL: Duration = Duration::from_millis(300);

/// Every so many looks the lag is measured: it asks the broker for the end of every partition.
const TICKS_PER_LAG_MEASUREMENT: u32 = 16;

/// Runs the workers of some projections.
pub struct Supervisor {
    runtime: ProjectionRuntime,
    projections: Vec<Arc<dyn AnyProjection>>,
    statuses: watch::Sender<Vec<StatusReader>>,
}

/// What runs.
#[derive(Default)]
struct RunningWorkers {
    tasks: JoinSet<Result<(), RuntimeError>>,
    workers: HashMap<Id, (GenerationRecord, StatusReader, CancellationToken)>,
}

impl Supervisor {
    /// Nothing runs yet.
    pub fn new(runtime: ProjectionRuntime, projections: Vec<Arc<dyn AnyProjection>>) -> Self {
        Self { runtime, projections, statuses: watch::Sender::new(vec![]) }
    }

    /// What the workers say about themselves, also while they come and go.
    pub fn statuses(&self) -> watch::Receiver<Vec<StatusReader>> {
        self.statuses.subscribe()
    }

    /// Runs workers until `shutdown`, then lets each finish what it has in hand.
    ///
    /// # Errors
    /// [`RuntimeError`] when a worker can never work. Stores that are away are waited for.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let mut running = RunningWorkers::default();
        let mut published = None;
        let mut looks = 0_u32;
        let mut ticks = interval(RECONCILE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                Some(ended) = running.tasks.join_next_with_id(), if !running.tasks.is_empty() => {
                    if let Err(error) = running.handle_worker_exit(ended) {
                        break Err(error);
                    }
                    self.publish_statuses(&running);
                }
                _ = ticks.tick() => {
                    self.reconcile_workers(&mut running).await;
                    published = self.publish_active_generations(published).await;
                    if looks.is_multiple_of(TICKS_PER_LAG_MEASUREMENT) {
                        self.measure_lag().await;
                    }
                    looks = looks.wrapping_add(1);
                }
            }
        };
        for (_, _, stop) in running.workers.values() {
            stop.cancel();
        }
        let mut outcome = outcome;
        while let Some(ended) = running.tasks.join_next_with_id().await {
            outcome = outcome.and(running.handle_worker_exit(ended));
        }
        outcome
    }

    async fn reconcile_workers(&self, running: &mut RunningWorkers) {
        let builds = match self.runtime.control.load_generations().await {
            Ok(builds) => builds,
            Err(error) => {
                // Whoever runs goes on; the workers themselves say that Postgres is away.
                tracing::debug!(reason = error_chain(&error), "which generations there are is not known");
                return;
            }
        };
        let ours = |build: &&GenerationRecord| {
            build.state == GenerationState::Following && self.find_projection(&build.projection).is_some()
        };
        let wanted: Vec<&GenerationRecord> = builds.iter().filter(ours).collect();
        for (build, _, stop) in running.workers.values() {
            if !wanted.iter().any(|wanted| is_same_generation(wanted, build)) {
                stop.cancel();
            }
        }
        let mut changed = false;
        for build in wanted {
            let known = running.workers.values().any(|(known, _, _)| is_same_generation(known, build));
            if let (false, Some(projection)) = (known, self.find_projection(&build.projection)) {
                let worker = Worker::new(self.runtime.clone(), projection.as_ref(), build.clone());
                let (status, stop) = (worker.status(), CancellationToken::new());
                let task = running.tasks.spawn(worker.run(stop.clone()));
                running.workers.insert(task.id(), (build.clone(), status, stop));
                changed = true;
            }
        }
        if changed {
            self.publish_statuses(running);
        }
    }

    /// Tells readers outside this program which generations are live, whenever that has moved: whoever switched them may
    /// not have come to it. Answers with the version of the pointer that they were told last.
    async fn publish_active_generations(&self, told: Option<u64>) -> Option<u64> {
        let Ok(pointer) = self.runtime.control.load_pointer().await else { return told };
        if told == Some(pointer.version) {
            return told;
        }
        for projection in &self.projections {
            if let Some(generation) = pointer.generations.get(projection.name())
                && let Err(error) = projection.with_generation(*generation).publish().await
            {
                tracing::debug!(projection.name = projection.name(), reason = error_chain(&error), "not published yet");
                return told;
            }
        }
        Some(pointer.version)
    }

    async fn measure_lag(&self) {
        match self.runtime.measure_lags(&self.projections).await {
            Ok(lags) => {
                for lag in lags {
                    if let Some(projection) = self.find_projection(&lag.projection) {
                        worker_metrics::set_lag_events(projection.name(), lag.generation, lag.records);
                    }
                }
            }
            Err(error) => tracing::debug!(reason = error_chain(&error), "the lag is not known"),
        }
    }

    fn find_projection(&self, name: &str) -> Option<&Arc<dyn AnyProjection>> {
        self.projections.iter().find(|projection| projection.name() == name)
    }

    fn publish_statuses(&self, running: &RunningWorkers) {
        let mut readers: Vec<_> = running.workers.values().map(|(_, status, _)| status.clone()).collect();
        readers.sort_by_key(|reader| {
            let status = reader.get();
            (status.name, status.generation)
        });
        self.statuses.send_replace(readers);
    }
}

impl RunningWorkers {
    fn handle_worker_exit(
        &mut self,
        ended: Result<(Id, Result<(), RuntimeError>), tokio::task::JoinError>,
    ) -> Result<(), RuntimeError> {
        match ended {
            Ok((id, outcome)) => {
                self.workers.remove(&id);
                outcome
            }
            Err(broken) => {
                let worker = self.workers.remove(&broken.id());
                let name = worker.map(|(build, _, _)| build.projection).unwrap_or_default();
                Err(RuntimeError::BrokeOff { projection: name, source: broken })
            }
        }
    }
}

/// Whether two are the same build in the same circumstances.
fn is_same_generation(one: &GenerationRecord, other: &GenerationRecord) -> bool {
    // The log is another one after a restore, and a worker that waits for the old one has to be replaced.
    (&one.projection, one.generation, one.incarnation) == (&other.projection, other.generation, other.incarnation)
}
