//! Selection of projections by name in a request.

use std::sync::Arc;

use async_graphql::{Context, Result};
use projections::runtime::AnyProjection;

use crate::{app_context::AppContext, graphql::error};

/// The application context of the request.
pub(super) fn context_stores<'a>(ctx: &Context<'a>) -> Result<&'a AppContext> {
    error::require_context_data(ctx.data::<AppContext>())
}

/// The named projections, each once; all of them if none is named.
pub(super) fn select_projections(app: &AppContext, names: Option<Vec<String>>) -> Result<Vec<Arc<dyn AnyProjection>>> {
    let chosen = app.read_models.select_read_models(&names.unwrap_or_default());
    chosen.map_err(|unknown| error::invalid_field("projections", unknown.to_string()))
}
