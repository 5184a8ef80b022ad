//! Going back to what readers saw before.

use async_graphql::{Context, Object, Result, SimpleObject};

use super::{chosen, guard::OperatorOnly};
use crate::graphql::error;

/// What readers see of a read model.
#[derive(SimpleObject)]
struct LiveGeneration {
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
    ) -> Result<Vec<LiveGeneration>> {
        let stores = chosen::stores(ctx)?;
        let chosen = match projections {
            None => stores.switched_last().await.map_err(|error| error::unavailable(&error))?,
            named => chosen::projections(stores, named)?,
        };
        let pointer = stores.runtime.rollback(&chosen).await.map_err(|error| error::operation(&error))?;
        Ok(chosen
            .iter()
            .map(|projection| LiveGeneration {
                projection: projection.name().to_owned(),
                generation: pointer.of(projection.name()).number(),
                previous: pointer.previous.get(projection.name()).map(|previous| previous.number()),
            })
            .collect())
    }
}
