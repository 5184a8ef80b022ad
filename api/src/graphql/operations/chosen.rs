//! Naming projections in a request.

use std::sync::Arc;

use async_graphql::{Context, Result};
use projections::runtime::AnyProjection;

use crate::{graphql::error, store::Stores};

/// The stores, for what operates them.
pub(super) fn stores<'a>(ctx: &Context<'a>) -> Result<&'a Stores> {
    error::wired(ctx.data::<Stores>())
}

/// The read models that are named, each once; all of them where none is.
pub(super) fn projections(stores: &Stores, names: Option<Vec<String>>) -> Result<Vec<Arc<dyn AnyProjection>>> {
    let chosen = stores.live.kept(&names.unwrap_or_default());
    chosen.map_err(|unknown| error::invalid_field("projections", unknown.to_string()))
}
