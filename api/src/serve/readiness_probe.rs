//! Whether a process can do its work: its engines answer, and what it runs is running.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::clock::{Clock, SystemClock};
use eventstore::relay::RelayStatus;
use futures::future::join_all;
use projections::runtime::{Generation, GenerationMap, StatusReader, WorkerState, WorkerStatus};
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::{ProcessRole, stuck_worker_detector::StuckWorkerDetector};
use crate::app_context::{AppContext, BackingService, CountError, StoreCounts};

/// How long a count is shown again.
const COUNTS_MAX_AGE: Duration = Duration::from_secs(2);

/// How long Postgres and Kafka may take to say how far the read models are.
const LAG_TIMEOUT: Duration = Duration::from_secs(4);

/// Tells whether a process can do its work.
pub struct ReadinessProbe {
    app: AppContext,
    role: ProcessRole,
    monitored_parts: Vec<MonitoredPart>,
    /// So that many readers of the first page cause one count.
    last_counts: Mutex<Option<(Instant, StoreCounts)>>,
    /// Where workers were seen.
    stuck_workers: StuckWorkerDetector,
}

/// A part whose state is known.
pub(super) enum MonitoredPart {
    /// The relay.
    Relay(watch::Receiver<RelayStatus>),
    /// The projection workers, which come and go with the generations.
    Workers {
        /// The projections that have to have one.
        names: Vec<&'static str>,
        /// What they say.
        statuses: watch::Receiver<Vec<StatusReader>>,
    },
}

/// What `/ready` answers. Reasons are in the log, not here: they may name what is inside.
#[derive(Debug, Serialize)]
pub struct ReadinessReport {
    /// Whether everything below is well.
    pub ready: bool,
    /// Whether each engine answers.
    engines: BTreeMap<&'static str, bool>,
    /// What each part is doing: the relay, and the worker of each read model as readers see it.
    parts: BTreeMap<&'static str, PartReport>,
}

#[derive(Debug, Serialize)]
struct PartReport {
    running: bool,
    state: &'static str,
    /// The last place in the log it is known to have dealt with.
    position: u64,
}

/// How far a read model has come.
struct ProjectionLag {
    /// Everything up to here is in it.
    position: u64,
    /// When the first event behind it was recorded.
    oldest_recorded_at: Option<DateTime<Utc>>,
}

impl ReadinessProbe {
    /// Of a process with this role and no parts yet. A worker that stands still for the time of `stuck_after` with work to
    /// do is stuck.
    pub(crate) fn new(stores: AppContext, role: ProcessRole, stuck_after: Duration) -> Self {
        Self {
            app: stores,
            role,
            monitored_parts: Vec::new(),
            last_counts: Mutex::new(None),
            stuck_workers: StuckWorkerDetector::new(stuck_after),
        }
    }

    /// From now on the process is ready only if this part is running.
    pub(super) fn monitor_part(&mut self, part: MonitoredPart) {
        self.monitored_parts.push(part);
    }

    /// Asks every engine and looks at every part.
    pub async fn check_readiness(&self) -> ReadinessReport {
        let asked = self
            .role
            .required_services()
            .iter()
            .map(|engine| async { (engine.name(), self.is_reachable(*engine).await) });
        let (engines, behind) = tokio::join!(join_all(asked), self.projection_lags_with_timeout());
        let mut engines: BTreeMap<_, _> = engines.into_iter().collect();
        if behind.is_none() {
            // One connection that answers says nothing about those that do not.
            engines.entry(BackingService::Postgres.name()).and_modify(|answers| *answers = false);
        }
        let live = self.app.read_models.active_generations();
        let mut parts: BTreeMap<_, _> = self.monitored_parts.iter().flat_map(|part| part.part_reports(&live)).collect();
        for (name, behind) in behind.flatten().unwrap_or_default() {
            if let Some(part) = parts.get_mut(name)
                && self.stuck_workers.is_stuck(
                    name,
                    behind.position,
                    behind.oldest_recorded_at.is_some(),
                    Instant::now(),
                )
                && part.running
            {
                (part.running, part.state) = (false, "stuck");
            }
        }
        let ready = engines.values().all(|answers| *answers) && parts.values().all(|part| part.running);
        ReadinessReport { ready, engines, parts }
    }

    /// How old the oldest event is that each read model does not show, in seconds; `None` where that cannot be found out.
    pub(crate) async fn oldest_event_ages(&self) -> Option<BTreeMap<&'static str, f64>> {
        let now = SystemClock.now();
        let age = |behind: ProjectionLag| {
            behind.oldest_recorded_at.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0))
        };
        Some(
            self.projection_lags_with_timeout()
                .await
                .flatten()?
                .into_iter()
                .map(|(name, behind)| (name, age(behind)))
                .collect(),
        )
    }

    /// As [`Self::behind`]; `None` when Postgres is silent.
    async fn projection_lags_with_timeout(&self) -> Option<Option<BTreeMap<&'static str, ProjectionLag>>> {
        tokio::time::timeout(LAG_TIMEOUT, self.projection_lags()).await.ok()
    }

    /// How far each read model has come, as readers see it.
    async fn projection_lags(&self) -> Option<BTreeMap<&'static str, ProjectionLag>> {
        if !self.role.required_services().contains(&BackingService::Postgres) {
            return Some(BTreeMap::new());
        }
        let (models, generations) = self.app.read_models.current_with_generations();
        let (log, runtime) = (self.app.runtime.log(), &self.app.runtime);
        let end = log.completed_prefix().await.ok()?;
        let mut all = BTreeMap::new();
        for projection in models.read_model_projections() {
            let generation = generations.get(projection.name()).copied().unwrap_or(Generation::FIRST);
            let position = runtime.completed_prefix(projection.as_ref(), generation).await.ok()?;
            let next = if position < end { log.load_after(position, end, 1).await.ok()? } else { vec![] };
            all.insert(
                projection.name(),
                ProjectionLag { position, oldest_recorded_at: next.first().map(|event| event.recorded_at) },
            );
        }
        Some(all)
    }

    /// What every store holds, as it was a moment ago: counting walks through the whole log.
    ///
    /// # Errors
    /// [`CountError`] naming the store that did not answer.
    pub async fn recent_counts(&self) -> Result<StoreCounts, CountError> {
        let mut last = self.last_counts.lock().await;
        if let Some((at, counts)) = &*last
            && at.elapsed() < COUNTS_MAX_AGE
        {
            return Ok(counts.clone());
        }
        let counts = self.app.count_stores().await?;
        *last = Some((Instant::now(), counts.clone()));
        Ok(counts)
    }

    async fn is_reachable(&self, engine: BackingService) -> bool {
        match self.app.ping(engine).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, engine = engine.name(), "engine is away");
                false
            }
        }
    }
}

impl MonitoredPart {
    /// Generations that are being built or kept for a rollback do not make a process unready.
    fn part_reports(&self, live: &GenerationMap) -> Vec<(&'static str, PartReport)> {
        match self {
            Self::Relay(status) => vec![("relay", relay_report(&status.borrow()))],
            Self::Workers { names, statuses } => {
                let statuses: Vec<_> = statuses.borrow().iter().map(StatusReader::get).collect();
                let shown =
                    |status: &&WorkerStatus| live.get(status.name).is_none_or(|live| *live == status.generation);
                let report = |name: &&'static str| {
                    let status = statuses.iter().filter(shown).find(|status| status.name == *name);
                    (*name, status.map_or(PartReport { running: false, state: "starting", position: 0 }, worker_report))
                };
                names.iter().map(report).collect()
            }
        }
    }
}

fn worker_report(status: &WorkerStatus) -> PartReport {
    let running = match status.state {
        WorkerState::Running => true,
        WorkerState::Starting | WorkerState::Retrying | WorkerState::Paused | WorkerState::Stopped => false,
    };
    PartReport { running, state: status.state.name(), position: status.position }
}

fn relay_report(status: &RelayStatus) -> PartReport {
    PartReport { running: status.last_error.is_none(), state: status.state(), position: status.position }
}
