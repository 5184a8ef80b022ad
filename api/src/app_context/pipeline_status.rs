//! How the way from the log to the read models is doing: the relay, and every generation of every projection.

use eventstore::{error::LogError, relay};
use projections::runtime::{ControlError, LagError, ParkedStreamQuery};
use serde::Serialize;

use super::AppContext;

/// The whole way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineStatus {
    /// From the log to Kafka.
    pub relay: RelayRow,
    /// From Kafka, or from the log, to the stores.
    pub projections: Vec<ProjectionRow>,
}

/// How the relay is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RelayRow {
    /// Whether one leads.
    pub leads: bool,
    /// Everything up to here is on Kafka.
    pub position: u64,
    /// The log is complete up to here.
    pub log_end: u64,
    /// Events that are not on Kafka yet.
    pub lag_events: u64,
    /// Relays that run, leading or not.
    pub relays: u64,
    /// What keeps the leader from its work, or a relay from leading.
    pub last_error: Option<String>,
}

/// How a generation is doing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectionRow {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: i32,
    /// Whether readers see it.
    pub live: bool,
    /// What its workers do: the worst of them, or what is done with the generation where it has none.
    pub state: String,
    /// How many workers it has.
    pub workers: usize,
    /// Everything up to here is in it, parked events included.
    pub position: u64,
    /// Records on its topics that it has not taken in; `None` where Kafka does not tell.
    pub lag_records: Option<u64>,
    /// How old the last event was when it was taken in, in seconds; 0 when it has caught up.
    pub lag_s: f64,
    /// Streams that wait as dead letters.
    pub parked: u64,
    /// What is wrong.
    pub last_error: Option<String>,
}

/// Why the way is not known.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The relay's place cannot be read.
    #[error("asking how far the relay is")]
    Relay(#[source] LogError),
    /// What the runtime keeps cannot be read.
    #[error("asking how far the projections are")]
    Control(#[from] ControlError),
}

/// States from the best to the worst.
const STATES_BEST_FIRST: [&str; 5] = ["running", "starting", "stopped", "retrying", "paused"];

impl AppContext {
    /// How the relay and every generation are doing, as Postgres knows it; what only Kafka knows may be missing.
    ///
    /// # Errors
    /// [`PipelineError`] when Postgres does not answer.
    pub async fn pipeline_status(&self) -> Result<PipelineStatus, PipelineError> {
        let relay = relay::load_progress(&self.pool).await.map_err(PipelineError::Relay)?;
        let relay = RelayRow {
            leads: relay.leads,
            position: relay.position,
            log_end: relay.fence,
            lag_events: relay.behind,
            relays: relay.relays,
            last_error: relay.last_error,
        };
        let control = self.runtime.control();
        let behind = self.runtime.measure_lags(&self.read_models.current().all_projections()).await;
        let (builds, workers) = (control.load_generations().await?, control.load_workers().await?);
        let (pointer, parked) =
            (control.load_pointer().await?, control.find_parked_streams(&ParkedStreamQuery::default()).await?);
        let mut projections = vec![];
        for build in builds {
            let mine =
                |name: &str, generation: i32| name == build.projection && generation == build.generation.number();
            let at_work: Vec<_> = workers.iter().filter(|worker| mine(&worker.projection, worker.generation)).collect();
            let worst = at_work.iter().map(|worker| worker.state.as_str()).max_by_key(|state| state_rank(state));
            let lag = behind
                .as_ref()
                .ok()
                .and_then(|behind| behind.iter().find(|lag| mine(&lag.projection, lag.generation.number())));
            let lag_records = lag.map(|lag| lag.records);
            let lag_s = at_work.iter().map(|worker| worker.lag_s).fold(0.0, f64::max);
            let errors = at_work.iter().find_map(|worker| worker.last_error.clone());
            projections.push(ProjectionRow {
                live: pointer.generations.get(&build.projection) == Some(&build.generation),
                state: worst.unwrap_or(idle_state(build.state.name())).to_owned(),
                workers: at_work.len(),
                position: lag.map_or(0, |lag| lag.position),
                lag_records,
                lag_s: if lag_records == Some(0) { 0.0 } else { lag_s },
                parked: parked.iter().filter(|parked| mine(&parked.projection, parked.generation.number())).count()
                    as u64,
                last_error: errors.or_else(|| lag_error(&behind)),
                generation: build.generation.number(),
                projection: build.projection,
            });
        }
        Ok(PipelineStatus { relay, projections })
    }
}

fn state_rank(state: &str) -> usize {
    STATES_BEST_FIRST.iter().position(|known| *known == state).unwrap_or(STATES_BEST_FIRST.len())
}

/// What is said of a generation without a worker.
fn idle_state(state: &'static str) -> &'static str {
    if state == "following" { "no worker" } else { state }
}

fn lag_error(lags: &Result<Vec<projections::runtime::GenerationLag>, LagError>) -> Option<String> {
    lags.as_ref().err().map(|error| format!("the lag is not known: {error}"))
}
