//! Whether a process can do its work: its engines answer, and what it runs is running.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::clock::{Clock, SystemClock};
use eventstore::relay::RelayStatus;
use futures::future::join_all;
use projections::runtime::{Generation, Generations, StatusReader, WorkerState, WorkerStatus};
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::{Role, stuck::Places};
use crate::store::{CountError, Counts, Engine, Stores};

/// How long a count is shown again.
const COUNTS_STAY_FRESH: Duration = Duration::from_secs(2);

/// How long Postgres and Kafka may take to say how far the read models are.
const BEHIND_WITHIN: Duration = Duration::from_secs(4);

/// Tells whether a process can do its work.
pub struct Readiness {
    stores: Stores,
    role: Role,
    parts: Vec<Watched>,
    /// So that many readers of the first page cause one count.
    last_counts: Mutex<Option<(Instant, Counts)>>,
    /// Where workers were seen.
    places: Places,
}

/// A part whose state is known.
pub(super) enum Watched {
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
pub struct Report {
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
struct Behind {
    /// Everything up to here is in it.
    position: u64,
    /// When the first event behind it was recorded.
    oldest: Option<DateTime<Utc>>,
}

impl Readiness {
    /// Of a process with this role and no parts yet. A worker that stands still for the time of `stuck_after` with work to
    /// do is stuck.
    pub(crate) fn new(stores: Stores, role: Role, stuck_after: Duration) -> Self {
        Self { stores, role, parts: Vec::new(), last_counts: Mutex::new(None), places: Places::new(stuck_after) }
    }

    /// From now on the process is ready only if this part is running.
    pub(super) fn watch(&mut self, part: Watched) {
        self.parts.push(part);
    }

    /// Asks every engine and looks at every part.
    pub async fn report(&self) -> Report {
        let asked = self.role.engines().iter().map(|engine| async { (engine.name(), self.answers(*engine).await) });
        let (engines, behind) = tokio::join!(join_all(asked), self.behind_in_time());
        let mut engines: BTreeMap<_, _> = engines.into_iter().collect();
        if behind.is_none() {
            // One connection that answers says nothing about those that do not.
            engines.entry(Engine::Postgres.name()).and_modify(|answers| *answers = false);
        }
        let live = self.stores.live.generations();
        let mut parts: BTreeMap<_, _> = self.parts.iter().flat_map(|part| part.report(&live)).collect();
        for (name, behind) in behind.flatten().unwrap_or_default() {
            if let Some(part) = parts.get_mut(name)
                && self.places.is_stuck(name, behind.position, behind.oldest.is_some(), Instant::now())
                && part.running
            {
                (part.running, part.state) = (false, "stuck");
            }
        }
        let ready = engines.values().all(|answers| *answers) && parts.values().all(|part| part.running);
        Report { ready, engines, parts }
    }

    /// How old the oldest event is that each read model does not show, in seconds; `None` where that cannot be found out.
    pub(crate) async fn ages(&self) -> Option<BTreeMap<&'static str, f64>> {
        let now = SystemClock.now();
        let age = |behind: Behind| behind.oldest.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0));
        Some(self.behind_in_time().await.flatten()?.into_iter().map(|(name, behind)| (name, age(behind))).collect())
    }

    /// As [`Self::behind`]; `None` when Postgres is silent.
    async fn behind_in_time(&self) -> Option<Option<BTreeMap<&'static str, Behind>>> {
        tokio::time::timeout(BEHIND_WITHIN, self.behind()).await.ok()
    }

    /// How far each read model has come, as readers see it.
    async fn behind(&self) -> Option<BTreeMap<&'static str, Behind>> {
        if !self.role.engines().contains(&Engine::Postgres) {
            return Some(BTreeMap::new());
        }
        let (models, generations) = self.stores.live.of_now();
        let (log, runtime) = (self.stores.runtime.log(), &self.stores.runtime);
        let end = log.completed_prefix().await.ok()?;
        let mut all = BTreeMap::new();
        for projection in models.kept() {
            let generation = generations.get(projection.name()).copied().unwrap_or(Generation::FIRST);
            let position = runtime.completed_prefix(projection.as_ref(), generation).await.ok()?;
            let next = if position < end { log.next_after(position, end, 1).await.ok()? } else { vec![] };
            all.insert(projection.name(), Behind { position, oldest: next.first().map(|event| event.recorded_at) });
        }
        Some(all)
    }

    /// What every store holds, as it was a moment ago: counting walks through the whole log.
    ///
    /// # Errors
    /// [`CountError`] naming the store that did not answer.
    pub async fn recent_counts(&self) -> Result<Counts, CountError> {
        let mut last = self.last_counts.lock().await;
        if let Some((at, counts)) = &*last
            && at.elapsed() < COUNTS_STAY_FRESH
        {
            return Ok(counts.clone());
        }
        let counts = self.stores.count().await?;
        *last = Some((Instant::now(), counts.clone()));
        Ok(counts)
    }

    async fn answers(&self, engine: Engine) -> bool {
        match self.stores.ping(engine).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, engine = engine.name(), "engine is away");
                false
            }
        }
    }
}

impl Watched {
    /// Generations that are being built or kept for a rollback do not make a process unready.
    fn report(&self, live: &Generations) -> Vec<(&'static str, PartReport)> {
        match self {
            Self::Relay(status) => vec![("relay", relay(&status.borrow()))],
            Self::Workers { names, statuses } => {
                let statuses: Vec<_> = statuses.borrow().iter().map(StatusReader::get).collect();
                let shown =
                    |status: &&WorkerStatus| live.get(status.name).is_none_or(|live| *live == status.generation);
                let report = |name: &&'static str| {
                    let status = statuses.iter().filter(shown).find(|status| status.name == *name);
                    (*name, status.map_or(PartReport { running: false, state: "starting", position: 0 }, worker))
                };
                names.iter().map(report).collect()
            }
        }
    }
}

fn worker(status: &WorkerStatus) -> PartReport {
    let running = match status.state {
        WorkerState::Running => true,
        WorkerState::Starting | WorkerState::Retrying | WorkerState::Paused | WorkerState::Stopped => false,
    };
    PartReport { running, state: status.state.name(), position: status.position }
}

fn relay(status: &RelayStatus) -> PartReport {
    PartReport { running: status.last_error.is_none(), state: status.state(), position: status.position }
}
