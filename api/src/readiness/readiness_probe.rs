//! Readiness of a process: its engines answer, and its relay and workers are running.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::clock::{Clock, SystemClock};
use eventstore::relay::RelayStatus;
use futures::future::join_all;
use processes::{RunnerState, RunnerStatus};
use projections::runtime::{GenerationMap, StatusReader, WorkerState, WorkerStatus};
use serde::Serialize;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use super::{CountError, StoreCounts, stuck_worker_detector::StuckWorkerDetector};
use crate::{
    app_context::{AppContext, BackingService},
    http::load_shedder::{LoadShedder, ProcessLoad},
};

/// How long a count is reused.
const COUNTS_MAX_AGE: Duration = Duration::from_secs(2);

/// How long the lag of the read models is reused.
const LAGS_MAX_AGE: Duration = Duration::from_millis(250);

/// Timeout of measuring the lag of all read models.
const LAG_TIMEOUT: Duration = Duration::from_secs(4);

/// Checks whether a process is ready.
pub struct ReadinessProbe {
    app: AppContext,
    required_services: &'static [BackingService],
    monitored_parts: Vec<MonitoredPart>,
    /// Cached, so that many requests cause one count.
    last_counts: Mutex<Option<(Instant, StoreCounts)>>,
    /// Cached, so that many requests do not wait for the connection of reports.
    last_lags: Mutex<Option<(Instant, LagMap)>>,
    stuck_workers: StuckWorkerDetector,
    stop_announcement: CancellationToken,
    /// `None` if this process serves no API.
    load_shedder: Option<LoadShedder>,
}

/// A part whose state determines readiness.
pub enum MonitoredPart {
    /// The relay.
    Relay(watch::Receiver<RelayStatus>),
    /// The projection workers, which start and stop with the generations.
    Workers {
        /// The projections that must have a worker.
        names: Vec<&'static str>,
        /// The statuses of all workers.
        statuses: watch::Receiver<Vec<StatusReader>>,
    },
    /// The runner that sends the commands of processes.
    ProcessRunner {
        /// Its status.
        status: watch::Receiver<RunnerStatus>,
        /// A runner that has not ended a round for this time is stuck.
        stuck_after: Duration,
    },
}

/// The response of `/ready`. Errors are logged and not included: they may disclose internals.
#[derive(Debug, Serialize)]
pub struct ReadinessReport {
    /// Whether all engines answer, all parts run, and no stop is announced.
    pub ready: bool,
    /// Whether the process was told to stop: it still answers, but requests should go elsewhere.
    stopping: bool,
    /// Whether each engine answers.
    engines: BTreeMap<&'static str, bool>,
    /// State of the relay, of the worker of each active generation, and of the process runner.
    parts: BTreeMap<&'static str, PartReport>,
    /// Requests of the API. A process that sheds load is ready: without it, the others would have even more.
    #[serde(skip_serializing_if = "Option::is_none")]
    load: Option<ProcessLoad>,
}

#[derive(Debug, Serialize)]
struct PartReport {
    running: bool,
    state: &'static str,
    /// Position up to which the part has published or applied the log; 0 for the process runner.
    position: u64,
}

/// The progress of each read model, by its name.
type LagMap = BTreeMap<&'static str, ProjectionLag>;

/// Progress of the active generation of a read model.
#[derive(Clone, Copy)]
struct ProjectionLag {
    /// Position up to which all events are applied.
    position: u64,
    /// When the first event after `position` was recorded; `None` if there is none.
    oldest_recorded_at: Option<DateTime<Utc>>,
}

impl ReadinessProbe {
    /// Creates a probe without monitored parts. A worker that makes no progress for `stuck_after` although it has work
    /// is reported as stuck.
    pub fn new(app: AppContext, required_services: &'static [BackingService], stuck_after: Duration) -> Self {
        Self {
            app,
            required_services,
            monitored_parts: Vec::new(),
            last_counts: Mutex::new(None),
            last_lags: Mutex::new(None),
            stuck_workers: StuckWorkerDetector::new(stuck_after),
            stop_announcement: CancellationToken::new(),
            load_shedder: None,
        }
    }

    /// Makes the process not ready once `announcement` is cancelled.
    pub fn follow_stop(&mut self, announcement: CancellationToken) {
        self.stop_announcement = announcement;
    }

    /// Adds the load of the API to the report.
    pub fn monitor_load(&mut self, load_shedder: LoadShedder) {
        self.load_shedder = Some(load_shedder);
    }

    /// Adds a part that must be running for the process to be ready.
    pub fn monitor_part(&mut self, part: MonitoredPart) {
        self.monitored_parts.push(part);
    }

    /// Pings every required engine and checks every monitored part.
    pub async fn check_readiness(&self) -> ReadinessReport {
        let pings =
            self.required_services.iter().map(|engine| async { (engine.name(), self.is_reachable(*engine).await) });
        let (engines, lags) = tokio::join!(join_all(pings), self.projection_lags_with_timeout());
        let mut engines: BTreeMap<_, _> = engines.into_iter().collect();
        if lags.is_none() {
            // The ping may have used a connection that works while the others hang.
            engines.entry(BackingService::POSTGRES.name()).and_modify(|answers| *answers = false);
        }
        let active = self.app.read_models.active_generations();
        let mut parts: BTreeMap<_, _> =
            self.monitored_parts.iter().flat_map(|part| part.part_reports(&active)).collect();
        for (name, lag) in lags.flatten().unwrap_or_default() {
            if let Some(part) = parts.get_mut(name)
                && self.stuck_workers.is_stuck(name, lag.position, lag.oldest_recorded_at.is_some(), Instant::now())
                && part.running
            {
                (part.running, part.state) = (false, "stuck");
            }
        }
        let stopping = self.stop_announcement.is_cancelled();
        let ready = !stopping && engines.values().all(|answers| *answers) && parts.values().all(|part| part.running);
        let load = self.load_shedder.as_ref().map(LoadShedder::load);
        ReadinessReport { ready, stopping, engines, parts, load }
    }

    /// Returns the age of the oldest event that each read model has not applied, in seconds, 0 if there is none. `None`
    /// if it cannot be determined.
    pub(crate) async fn oldest_event_ages(&self) -> Option<BTreeMap<&'static str, f64>> {
        let now = SystemClock.now();
        let age =
            |lag: ProjectionLag| lag.oldest_recorded_at.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0));
        Some(
            self.projection_lags_with_timeout()
                .await
                .flatten()?
                .into_iter()
                .map(|(name, lag)| (name, age(lag)))
                .collect(),
        )
    }

    /// As [`Self::projection_lags`], at most 250 ms old; the outer `None` means that it timed out.
    async fn projection_lags_with_timeout(&self) -> Option<Option<LagMap>> {
        let measure = async {
            let mut last = self.last_lags.lock().await;
            if let Some((at, lags)) = &*last
                && at.elapsed() < LAGS_MAX_AGE
            {
                return Some(lags.clone());
            }
            let lags = self.projection_lags().await?;
            *last = Some((Instant::now(), lags.clone()));
            Some(lags)
        };
        tokio::time::timeout(LAG_TIMEOUT, measure).await.ok()
    }

    /// Returns the progress of the active generation of each read model; `None` if the log or the runtime fails.
    async fn projection_lags(&self) -> Option<LagMap> {
        if !self.required_services.contains(&BackingService::POSTGRES) {
            return Some(BTreeMap::new());
        }
        let (models, pointer) = self.app.read_models.current_with_pointer();
        // Not over the connections of requests: many of them would look like a server that does not answer.
        let (log, runtime) = (self.app.status_runtime.log(), &self.app.status_runtime);
        let end = log.load_fence().await.ok()?;
        let mut all = BTreeMap::new();
        for projection in models.read_model_projections() {
            let generation = pointer.active_generation(projection.name());
            let position = runtime.load_applied_position(projection.as_ref(), generation).await.ok()?;
            let next = if position < end { log.load_after(position, end, 1).await.ok()? } else { vec![] };
            all.insert(
                projection.name(),
                ProjectionLag { position, oldest_recorded_at: next.first().map(|event| event.recorded_at) },
            );
        }
        Some(all)
    }

    /// Returns what every engine holds, at most 2 s old: counting scans the whole log.
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
        let counts = StoreCounts::load(&self.app).await?;
        *last = Some((Instant::now(), counts.clone()));
        Ok(counts)
    }

    async fn is_reachable(&self, engine: BackingService) -> bool {
        match self.app.ping(engine).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, engine = engine.name(), "engine unavailable");
                false
            }
        }
    }
}

impl MonitoredPart {
    /// Reports only active generations: those being built or retained for a rollback do not affect readiness.
    fn part_reports(&self, active: &GenerationMap) -> Vec<(&'static str, PartReport)> {
        match self {
            Self::Relay(status) => vec![("relay", relay_report(&status.borrow()))],
            Self::Workers { names, statuses } => {
                let statuses: Vec<_> = statuses.borrow().iter().map(StatusReader::get).collect();
                let is_active = |status: &&WorkerStatus| {
                    active.get(status.name).is_none_or(|generation| *generation == status.generation)
                };
                let report = |name: &&'static str| {
                    let status = statuses.iter().filter(is_active).find(|status| status.name == *name);
                    (*name, status.map_or(PartReport { running: false, state: "starting", position: 0 }, worker_report))
                };
                names.iter().map(report).collect()
            }
            Self::ProcessRunner { status, stuck_after } => {
                let state = status.borrow().state(*stuck_after, Instant::now());
                let running = state == RunnerState::Running;
                vec![("process-runner", PartReport { running, state: state.name(), position: 0 })]
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
