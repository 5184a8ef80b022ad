//! Status of every generation of every projection.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::{guard::OperatorOnly, selection};
use crate::{app_context::ProjectionRow, graphql::error};

/// A generation of a projection's read model.
#[derive(SimpleObject)]
#[graphql(name = "ProjectionGeneration")]
struct ProjectionGenerationNode {
    /// Name of the projection, e.g. `analytics`.
    projection: String,
    /// Number of the generation.
    generation: i32,
    /// Whether it is the active generation, the one that queries read.
    #[graphql(name = "live")]
    is_active: bool,
    /// The worst state of its workers: `running`, `starting`, `retrying`, `paused`, `stopped`; or `no worker`; or the
    /// state of the generation: `building`, `failed`.
    state: String,
    /// Number of its workers.
    workers: usize,
    /// Log position up to which every event is processed; parked events count as processed.
    position: u64,
    /// Number of records on its topics that it has not processed; null if Kafka does not answer.
    lag_records: Option<u64>,
    /// Age of the last event when it was processed, in seconds; 0 when the generation has caught up.
    lag_seconds: f64,
    /// Number of streams with dead letters.
    parked: u64,
    /// Last error.
    last_error: Option<String>,
}

impl From<ProjectionRow> for ProjectionGenerationNode {
    fn from(row: ProjectionRow) -> Self {
        Self {
            projection: row.projection,
            generation: row.generation,
            is_active: row.is_active,
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

/// Query of the status of projections.
#[derive(Default)]
pub(in crate::graphql) struct ProjectionQuery;

#[Object]
impl ProjectionQuery {
    /// Status of every generation of every projection. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn projections(&self, ctx: &Context<'_>) -> Result<Vec<ProjectionGenerationNode>> {
        let pipeline =
            selection::context_stores(ctx)?.pipeline_status().await.map_err(|error| error::unavailable(&error))?;
        Ok(pipeline.projections.into_iter().map(ProjectionGenerationNode::from).collect())
    }
}
