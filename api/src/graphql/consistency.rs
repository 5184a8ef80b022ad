//! Tokens that say how far a read model has to be.

use async_graphql::{Context, Result};

use super::error;
use crate::{owned, store::Stores};

/// The token of a stream's event that was just recorded; `None` where nothing is.
pub(super) async fn token_of(
    ctx: &Context<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>> {
    let stores = error::wired(ctx.data::<Stores>())?;
    owned::token_of(stores, aggregate_type, aggregate_id, version).await.map_err(|undone| error::undone(&undone))
}
