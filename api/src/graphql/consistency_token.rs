//! Consistency tokens of recorded changes.

use async_graphql::{Context, Result};

use super::error;
use crate::{app_context::AppContext, tenant_commands};

/// The consistency token of the event with sequence `version` of a stream; `None` if there is no such event.
pub(super) async fn load_consistency_token(
    ctx: &Context<'_>,
    aggregate_type: &str,
    aggregate_id: &str,
    version: u64,
) -> Result<Option<String>> {
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    tenant_commands::consistency_token(app, aggregate_type, aggregate_id, version)
        .await
        .map_err(|failure| error::command_failure(&failure))
}
