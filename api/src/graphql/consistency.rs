//! Tokens that say how far a read model has to be.

use async_graphql::{Context, Result};
use domain::context::Context as Bounded;
use projections::runtime::ConsistencyToken;

use super::error;
use crate::store::Stores;

/// The token of an event at a position of this log.
pub(super) async fn token_at(
    ctx: &Context<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    position: u64,
) -> Result<ConsistencyToken> {
    let stores = error::wired(ctx.data::<Stores>())?;
    let incarnation = stores.runtime.log().incarnation().await.map_err(|error| error::unavailable(&error))?;
    let stream = Bounded::of_aggregate(aggregate_type).map(|context| (context, aggregate_id.to_owned()));
    Ok(ConsistencyToken { incarnation, position, stream })
}

/// The token of a stream's event that was just recorded.
pub(super) async fn token_of(
    ctx: &Context<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>> {
    let stores = error::wired(ctx.data::<Stores>())?;
    let position = stores.opportunities.position(aggregate_type, aggregate_id, version).await;
    match position.map_err(|error| error::unavailable(&error))? {
        Some(position) => {
            token_at(ctx, aggregate_type, aggregate_id, position).await.map(|token| Some(token.to_string()))
        }
        None => Ok(None),
    }
}
