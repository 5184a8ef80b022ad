//! Runs a worker for every generation in state `following`, and stops it when the generation leaves that state.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    AnyProjection, GenerationRecord, GenerationState, ProjectionRuntime, RuntimeError, StatusReader, Worker,
    error::format_limited_chain, generation_gauges::GenerationGauges,
};

/// Time between two reads of the generations.
const RECONCILE_INTERVAL: Duration = Duration::from_millis(250);

/// Number of reads between two measurements of the lag, which fetch the end offset of every partition from the broker.
const TICKS_PER_LAG_MEASUREMENT: u32 = 20;

/// Number of reads between two searches for streams that an older release has parked.
const TICKS_PER_REDRIVE: u32 = 120;

/// Runs the workers of a set of projections.
pub struct Supervisor {
    runtime: ProjectionRuntime,
    projections: Vec<Arc<dyn AnyProjection>>,
    statuses: watch::Sender<Vec<StatusReader>>,
}

#[derive(Default)]
struct RunningWorkers {
    tasks: JoinSet<Result<(), RuntimeError>>,
    workers: HashMap<Id, (GenerationRecord, StatusReader, CancellationToken)>,
}

impl Supervisor {
    /// Creates a supervisor; workers start in [`Self::run`].
    pub fn new(runtime: ProjectionRuntime, projections: Vec<Arc<dyn AnyProjection>>) -> Self {
        Self { runtime, projections, statuses: watch::Sender::new(vec![]) }
    }

    /// The statuses of the running workers; updated when workers start or end.
    pub fn statuses(&self) -> watch::Receiver<Vec<StatusReader>> {
        self.statuses.subscribe()
    }

    /// Runs workers until `shutdown`, then lets each finish its batch.
    ///
    /// # Errors
    /// [`RuntimeError`] when a worker ends with an error; it retries while a store is unavailable.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let mut running = RunningWorkers::default();
        let mut redrives = JoinSet::new();
        let mut published_version = None;
        let mut gauges = GenerationGauges::default();
        let mut tick_count = 0_u32;
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
                    published_version = self.publish_active_generations(published_version).await;
                    if tick_count.is_multiple_of(TICKS_PER_LAG_MEASUREMENT) {
                        gauges.update(&self.runtime, &self.projections).await;
                    }
                    if tick_count.is_multiple_of(TICKS_PER_REDRIVE) {
                        self.begin_redrive(&mut redrives);
                    }
                    tick_count = tick_count.wrapping_add(1);
                }
            }
        };
        for (_, _, stop) in running.workers.values() {
            stop.cancel();
        }
        // What is under way is rolled back; another process, or the next start of this one, repeats it.
        redrives.shutdown().await;
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
                // Running workers continue, and report the outage of Postgres themselves.
                tracing::debug!(reason = format_limited_chain(&error), "reading generations failed");
                return;
            }
        };
        let should_run = |build: &&GenerationRecord| {
            build.state == GenerationState::Following && self.find_projection(&build.projection).is_some()
        };
        let to_run: Vec<&GenerationRecord> = builds.iter().filter(should_run).collect();
        for (build, _, stop) in running.workers.values() {
            if !to_run.iter().any(|other| is_same_generation(other, build)) {
                stop.cancel();
            }
        }
        let mut changed = false;
        for build in to_run {
            let is_running = running.workers.values().any(|(other, _, _)| is_same_generation(other, build));
            if let (false, Some(projection)) = (is_running, self.find_projection(&build.projection)) {
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

    /// Publishes the active generations to direct readers of the stores when the pointer has moved: the process that
    /// moved it may have ended before it published them. Returns the pointer version that was published last.
    async fn publish_active_generations(&self, last_published: Option<u64>) -> Option<u64> {
        // Read with the generations, unless there are none yet.
        let version = *self.runtime.control.subscribe_pointer_version().borrow();
        if last_published == Some(version) {
            return last_published;
        }
        let Ok(pointer) = self.runtime.control.load_pointer().await else { return last_published };
        for projection in &self.projections {
            if let Some(generation) = pointer.generations.get(projection.name())
                && let Err(error) = projection.with_generation(*generation).switch_direct_readers().await
            {
                tracing::debug!(
                    projection.name = projection.name(),
                    reason = format_limited_chain(&error),
                    "active generation not published, retrying"
                );
                return last_published;
            }
        }
        Some(pointer.version)
    }

    /// Begins to apply what an older release has parked, unless the last time is still under way. A stream may have so
    /// many events that redriving takes minutes; workers must be started and stopped meanwhile. What fails is tried
    /// again the next time.
    fn begin_redrive(&self, redrives: &mut JoinSet<()>) {
        while redrives.try_join_next().is_some() {}
        if !redrives.is_empty() {
            tracing::info!("redriving streams that an older release parked is still under way");
            return;
        }
        let (runtime, projections) = (self.runtime.clone(), self.projections.clone());
        redrives.spawn(async move {
            if let Err(error) = runtime.redrive_known_events(&projections).await {
                tracing::debug!(reason = format_limited_chain(&error), "redriving parked streams failed, retrying");
            }
        });
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
            Err(join_error) => {
                let worker = self.workers.remove(&join_error.id());
                let name = worker.map(|(build, _, _)| build.projection).unwrap_or_default();
                Err(RuntimeError::BrokeOff { projection: name, source: join_error })
            }
        }
    }
}

/// Whether two records are the same generation of the same log.
fn is_same_generation(one: &GenerationRecord, other: &GenerationRecord) -> bool {
    // A restored log has another incarnation, and a worker of the old one has to be replaced.
    (&one.projection, one.generation, one.incarnation) == (&other.projection, other.generation, other.incarnation)
}
