//! Runs a worker for every generation that has to be kept up to date, and stops it when it has not.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{Id, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{AnyProjection, Build, BuildState, Runtime, RuntimeError, StatusReader, Worker, error::chain, metric};

/// How often it is looked whether generations have come or gone.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// Every so many looks the lag is measured: it asks the broker for the end of every partition.
const LOOKS_PER_LAG: u32 = 16;

/// Runs the workers of some projections.
pub struct Supervisor {
    runtime: Runtime,
    projections: Vec<Arc<dyn AnyProjection>>,
    statuses: watch::Sender<Vec<StatusReader>>,
}

/// What runs.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Result<(), RuntimeError>>,
    workers: HashMap<Id, (Build, StatusReader, CancellationToken)>,
}

impl Supervisor {
    /// Nothing runs yet.
    pub fn new(runtime: Runtime, projections: Vec<Arc<dyn AnyProjection>>) -> Self {
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
        let mut running = Running::default();
        let mut published = None;
        let mut looks = 0_u32;
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let outcome = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break Ok(()),
                Some(ended) = running.tasks.join_next_with_id(), if !running.tasks.is_empty() => {
                    if let Err(error) = running.ended(ended) {
                        break Err(error);
                    }
                    self.tell(&running);
                }
                _ = ticks.tick() => {
                    self.look(&mut running).await;
                    published = self.publish(published).await;
                    if looks.is_multiple_of(LOOKS_PER_LAG) {
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
            outcome = outcome.and(running.ended(ended));
        }
        outcome
    }

    async fn look(&self, running: &mut Running) {
        let builds = match self.runtime.control.builds().await {
            Ok(builds) => builds,
            Err(error) => {
                // Whoever runs goes on; the workers themselves say that Postgres is away.
                tracing::debug!(reason = chain(&error), "which generations there are is not known");
                return;
            }
        };
        let ours = |build: &&Build| build.state == BuildState::Following && self.find(&build.projection).is_some();
        let wanted: Vec<&Build> = builds.iter().filter(ours).collect();
        for (build, _, stop) in running.workers.values() {
            if !wanted.iter().any(|wanted| same(wanted, build)) {
                stop.cancel();
            }
        }
        let mut changed = false;
        for build in wanted {
            let known = running.workers.values().any(|(known, _, _)| same(known, build));
            if let (false, Some(projection)) = (known, self.find(&build.projection)) {
                let worker = Worker::new(self.runtime.clone(), projection.as_ref(), build.clone());
                let (status, stop) = (worker.status(), CancellationToken::new());
                let task = running.tasks.spawn(worker.run(stop.clone()));
                running.workers.insert(task.id(), (build.clone(), status, stop));
                changed = true;
            }
        }
        if changed {
            self.tell(running);
        }
    }

    /// Tells readers outside this program which generations are live, whenever that has moved: whoever switched them may
    /// not have come to it. Answers with the version of the pointer that they were told last.
    async fn publish(&self, told: Option<u64>) -> Option<u64> {
        let Ok(pointer) = self.runtime.control.pointer().await else { return told };
        if told == Some(pointer.version) {
            return told;
        }
        for projection in &self.projections {
            if let Some(generation) = pointer.generations.get(projection.name())
                && let Err(error) = projection.at(*generation).publish().await
            {
                tracing::debug!(projection.name = projection.name(), reason = chain(&error), "not published yet");
                return told;
            }
        }
        Some(pointer.version)
    }

    async fn measure_lag(&self) {
        match self.runtime.lags(&self.projections).await {
            Ok(lags) => {
                for lag in lags {
                    if let Some(projection) = self.find(&lag.projection) {
                        metric::lag_events(projection.name(), lag.generation, lag.records);
                    }
                }
            }
            Err(error) => tracing::debug!(reason = chain(&error), "the lag is not known"),
        }
    }

    fn find(&self, name: &str) -> Option<&Arc<dyn AnyProjection>> {
        self.projections.iter().find(|projection| projection.name() == name)
    }

    fn tell(&self, running: &Running) {
        let mut readers: Vec<_> = running.workers.values().map(|(_, status, _)| status.clone()).collect();
        readers.sort_by_key(|reader| {
            let status = reader.get();
            (status.name, status.generation)
        });
        self.statuses.send_replace(readers);
    }
}

impl Running {
    fn ended(
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
fn same(one: &Build, other: &Build) -> bool {
    // The log is another one after a restore, and a worker that waits for the old one has to be replaced.
    (&one.projection, one.generation, one.incarnation) == (&other.projection, other.generation, other.incarnation)
}
