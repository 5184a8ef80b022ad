//! Tokens that say how far a read model has to be.

use async_graphql::{Context, Result};
use domain::context::Context as Bounded;
use projections::runtime::ConsistencyToken;

use super::error;
use crate::store::Stores;

/// The token of a stream's event that was just recorded; `None` where nothing is.
pub(super) async fn token_of(
    ctx: &Context<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>> {
    let log = error::wired(ctx.data::<Stores>())?.runtime.log();
    let incarnation = log.incarnation().await.map_err(|error| error::unavailable(&error))?;
    let event = log.of_stream(aggregate_type, aggregate_id, version.saturating_sub(1), 1).await;
    let event = event.map_err(|error| error::unavailable(&error))?.into_iter().next();
    let stream = Bounded::of_aggregate(aggregate_type).map(|context| (context, aggregate_id.to_owned()));
    Ok(event.map(|event| ConsistencyToken { incarnation, position: event.position, stream }.to_string()))
}
