//! How every generation of every read model is doing.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::{guard::OperatorOnly, selection};
use crate::{app_context::ProjectionRow, graphql::error};

/// A build of a read model.
#[derive(SimpleObject)]
#[graphql(name = "ProjectionGeneration")]
struct ProjectionGenerationNode {
    /// The read model, e.g. `analytics`.
    projection: String,
    /// Which build of it.
    generation: i32,
    /// Whether readers see it.
    live: bool,
    /// What its workers do, the worst of them: `running`, `starting`, `retrying`, `paused`, `stopped`; or `no worker`,
    /// or what is done with the build: `building`, `failed`.
    state: String,
    /// How many workers it has.
    workers: usize,
    /// Everything up to this position of the log is in it, parked events included.
    position: u64,
    /// Records on its topics that it has not taken in; null where Kafka does not tell.
    lag_records: Option<u64>,
    /// How old the last event was when it was taken in, in seconds; 0 when it has caught up.
    lag_seconds: f64,
    /// Streams that wait as dead letters.
    parked: u64,
    /// What is wrong.
    last_error: Option<String>,
}

impl From<ProjectionRow> for ProjectionGenerationNode {
    fn from(row: ProjectionRow) -> Self {
        Self {
            projection: row.projection,
            generation: row.generation,
            live: row.live,
            state: row.state,
            workers: row.workers,
            position: row.position,
            lag_records: row.lag_records,
            lag_seconds: row.lag_s,
            parked: row.parked,
            last_error: row.last_error,
        }
    }
}

/// How read models are kept up to date.
#[derive(Default)]
pub(in crate::graphql) struct ProjectionQuery;

#[Object]
impl ProjectionQuery {
    /// Every build of every read model and how it is doing. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn projections(&self, ctx: &Context<'_>) -> Result<Vec<ProjectionGenerationNode>> {
        let pipeline =
            selection::context_stores(ctx)?.pipeline_status().await.map_err(|error| error::unavailable(&error))?;
        Ok(pipeline.projections.into_iter().map(ProjectionGenerationNode::from).collect())
    }
}
