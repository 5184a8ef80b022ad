//! Status of the pipeline from the log to the read models: the relay, and every generation of every projection.

use eventstore::{error::LogError, relay};
use projections::runtime::{ControlError, LagError, ParkedStreamQuery};
use serde::Serialize;

use super::AppContext;

/// Status of the pipeline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineStatus {
    /// The relay, from the log to Kafka.
    pub relay: RelayRow,
    /// The generations, from Kafka or the log to the read models.
    pub projections: Vec<ProjectionRow>,
}

/// Status of the relay.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RelayRow {
    /// Whether a relay holds the lease.
    pub leads: bool,
    /// Position up to which all events are published.
    pub position: u64,
    /// Position of the fence.
    pub log_end: u64,
    /// Number of events that are not published yet.
    pub lag_events: u64,
    /// Number of running relays, leading or standing by.
    pub relays: u64,
    /// Why the leader cannot publish, or a relay cannot lead.
    pub last_error: Option<String>,
}

/// Status of a generation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProjectionRow {
    /// Name of the projection.
    pub projection: String,
    /// Number of the generation.
    pub generation: i32,
    /// Whether it is the active generation.
    #[serde(rename = "live")]
    pub is_active: bool,
    /// State of its worst worker, or of the generation if it has no worker.
    pub state: String,
    /// Number of workers.
    pub workers: usize,
    /// Position up to which all events are applied or parked.
    pub position: u64,
    /// Records on its topics that are not applied yet; `None` if Kafka does not answer.
    pub lag_records: Option<u64>,
    /// Age of the last event when it was applied, in seconds; 0 if there is no lag.
    pub lag_s: f64,
    /// Number of parked streams.
    pub parked: u64,
    /// The last error of a worker, or of measuring the lag.
    pub last_error: Option<String>,
}

/// Why the status could not be determined.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// The progress of the relay could not be read.
    #[error("reading the progress of the relay")]
    Relay(#[source] LogError),
    /// The control tables of the projections could not be read.
    #[error("reading the progress of the projections")]
    Control(#[from] ControlError),
}

/// States of workers, from best to worst.
const STATES_BEST_FIRST: [&str; 5] = ["running", "starting", "stopped", "retrying", "paused"];

impl AppContext {
    /// Reads the status of the relay and of every generation from Postgres. Lags are missing if Kafka does not answer.
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
        let lags = self.runtime.measure_lags(&self.all_projections()).await;
        let (builds, workers) = (control.load_generations().await?, control.load_workers().await?);
        let (pointer, parked) =
            (control.load_pointer().await?, control.find_parked_streams(&ParkedStreamQuery::default()).await?);
        let mut projections = vec![];
        for build in builds {
            let belongs_to_build =
                |name: &str, generation: i32| name == build.projection && generation == build.generation.number();
            let build_workers: Vec<_> =
                workers.iter().filter(|worker| belongs_to_build(&worker.projection, worker.generation)).collect();
            let worst = build_workers.iter().map(|worker| worker.state.as_str()).max_by_key(|state| rank_state(state));
            let lag = lags
                .as_ref()
                .ok()
                .and_then(|lags| lags.iter().find(|lag| belongs_to_build(&lag.projection, lag.generation.number())));
            let lag_records = lag.map(|lag| lag.records);
            let lag_seconds = build_workers.iter().map(|worker| worker.lag_s).fold(0.0, f64::max);
            let errors = build_workers.iter().find_map(|worker| worker.last_error.clone());
            projections.push(ProjectionRow {
                is_active: pointer.generations.get(&build.projection) == Some(&build.generation),
                state: worst.unwrap_or(idle_state(build.state.name())).to_owned(),
                workers: build_workers.len(),
                position: lag.map_or(0, |lag| lag.position),
                lag_records,
                lag_s: if lag_records == Some(0) { 0.0 } else { lag_seconds },
                parked: parked
                    .iter()
                    .filter(|parked| belongs_to_build(&parked.projection, parked.generation.number()))
                    .count() as u64,
                last_error: errors.or_else(|| lag_error(&lags)),
                generation: build.generation.number(),
                projection: build.projection,
            });
        }
        Ok(PipelineStatus { relay, projections })
    }
}

fn rank_state(state: &str) -> usize {
    STATES_BEST_FIRST.iter().position(|known| *known == state).unwrap_or(STATES_BEST_FIRST.len())
}

/// Returns the state to show for a generation without a worker.
fn idle_state(state: &'static str) -> &'static str {
    if state == "following" { "no worker" } else { state }
}

fn lag_error(lags: &Result<Vec<projections::runtime::GenerationLag>, LagError>) -> Option<String> {
    lags.as_ref().err().map(|error| format!("lag unavailable: {error}"))
}
