//! Whether a process can do its work: its engines answer, and what it runs is running.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use eventstore::relay::RelayStatus;
use futures::future::join_all;
use projections::runtime::{Generations, StatusReader, WorkerState, WorkerStatus};
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::Role;
use crate::store::{CountError, Counts, Engine, Stores};

/// How long a count is shown again.
const COUNTS_STAY_FRESH: Duration = Duration::from_secs(2);

/// Tells whether a process can do its work.
pub struct Readiness {
    stores: Stores,
    role: Role,
    parts: Vec<Watched>,
    /// So that many readers of the first page cause one count.
    last_counts: Mutex<Option<(Instant, Counts)>>,
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

impl Readiness {
    /// Of a process with this role and no parts yet.
    pub(crate) fn new(stores: Stores, role: Role) -> Self {
        Self { stores, role, parts: Vec::new(), last_counts: Mutex::new(None) }
    }

    /// From now on the process is ready only if this part is running.
    pub(super) fn watch(&mut self, part: Watched) {
        self.parts.push(part);
    }

    /// Asks every engine and looks at every part.
    pub async fn report(&self) -> Report {
        let asked = self.role.engines().iter().map(|engine| async { (engine.name(), self.answers(*engine).await) });
        let engines: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
        let live = self.stores.live.generations();
        let parts: BTreeMap<_, _> = self.parts.iter().flat_map(|part| part.report(&live)).collect();
        let ready = engines.values().all(|answers| *answers) && parts.values().all(|part| part.running);
        Report { ready, engines, parts }
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
    let state = match (&status.last_error, status.leading) {
        (Some(_), _) => "retrying",
        (None, true) => "leading",
        (None, false) => "standby",
    };
    PartReport { running: status.last_error.is_none(), state, position: status.position }
}
