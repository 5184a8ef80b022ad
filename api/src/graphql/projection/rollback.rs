//! Going back to what readers saw before.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::{guard::OperatorOnly, selection};
use crate::graphql::error;

/// What readers see of a read model.
#[derive(SimpleObject)]
#[graphql(name = "LiveGeneration")]
struct ActiveGenerationNode {
    /// The read model.
    projection: String,
    /// The build that readers see.
    generation: i32,
    /// The build that they saw before.
    previous: Option<i32>,
}

/// Moves readers back.
#[derive(Default)]
pub(super) struct RollbackMutation;

#[Object]
impl RollbackMutation {
    /// Points readers back at what they saw before the last switch, all at once. What they leave stays up to date, so
    /// that the same request goes forward again. For operators.
    #[graphql(guard = "OperatorOnly")]
    async fn rollback_projections(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which read models; all that were switched last where nothing is said.")] projections: Option<
            Vec<String>,
        >,
    ) -> Result<Vec<ActiveGenerationNode>> {
        let stores = selection::context_stores(ctx)?;
        let chosen = match projections {
            None => stores.last_switched_projections().await.map_err(|error| error::unavailable(&error))?,
            named => selection::select_projections(stores, named)?,
        };
        let pointer = stores.runtime.rollback(&chosen).await.map_err(|error| error::rebuild_error(&error))?;
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
