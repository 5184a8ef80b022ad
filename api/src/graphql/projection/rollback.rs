//! Rollback to the previous generations.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::{guard::OperatorOnly, selection};
use crate::graphql::error;

/// The active generation of a projection.
#[derive(SimpleObject)]
#[graphql(name = "LiveGeneration")]
struct ActiveGenerationNode {
    /// Name of the projection.
    projection: String,
    /// Number of the active generation.
    generation: i32,
    /// Number of the generation that was active before.
    previous: Option<i32>,
}

/// Mutation that rolls projections back.
#[derive(Default)]
pub(super) struct RollbackMutation;

#[Object]
impl RollbackMutation {
    /// Switches projections back to the generations that were active before the last switch, all at once. The
    /// replaced generations stay up to date, so that repeating the request switches forward again. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rollback_projections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Projections to roll back; by default all that were switched last.")] projections: Option<
            Vec<String>,
        >,
    ) -> Result<Vec<ActiveGenerationNode>> {
        let app = selection::context_stores(ctx)?;
        let chosen = match projections {
            None => app.last_switched_projections().await.map_err(|error| error::unavailable(&error))?,
            named => selection::select_projections(app, named)?,
        };
        let pointer = app.runtime.rollback(&chosen).await.map_err(|error| error::rebuild_error(&error))?;
        Ok(chosen
            .iter()
            .map(|projection| ActiveGenerationNode {
                projection: projection.name().to_owned(),
                generation: pointer.active_generation(projection.name()).number(),
                previous: pointer.previous.get(projection.name()).map(|previous| previous.number()),
            })
            .collect())
    }
}
