//! Naming projections in a request.

use std::sync::Arc;

use async_graphql::{Context, Result};
use projections::runtime::AnyProjection;

use crate::{app_context::AppContext, graphql::error};

/// The stores, for what operates them.
pub(super) fn context_stores<'a>(ctx: &Context<'a>) -> Result<&'a AppContext> {
    error::require_context_data(ctx.data::<AppContext>())
}

/// The read models that are named, each once; all of them where none is.
pub(super) fn select_projections(
    stores: &AppContext,
    names: Option<Vec<String>>,
) -> Result<Vec<Arc<dyn AnyProjection>>> {
    let chosen = stores.read_models.select_read_models(&names.unwrap_or_default());
    chosen.map_err(|unknown| error::invalid_field("projections", unknown.to_string()))
}
