//! Tokens that say how far a read model has to be.

use async_graphql::{Context, Result};

use super::error;
use crate::{app_context::AppContext, tenant_commands};

/// The token of a stream's event that was just recorded; `None` where nothing is.
pub(super) async fn load_consistency_token(
    ctx: &Context<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>> {
    let stores = error::require_context_data(ctx.data::<AppContext>())?;
    tenant_commands::consistency_token(stores, aggregate_type, aggregate_id, version)
        .await
        .map_err(|undone| error::command_failure(&undone))
}
