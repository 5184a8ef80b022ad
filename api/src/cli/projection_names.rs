//! Naming projections on the command line.

use std::sync::Arc;

use projections::{read_models, runtime::AnyProjection};

use crate::app_context::{AppContext, UnknownReadModel};

/// Stands for every read model.
pub(super) const ALL: &str = "all";

/// The read models that can be named.
pub(super) fn possible_names() -> Vec<&'static str> {
    read_models::READ_MODEL_NAMES.into_iter().chain([ALL]).collect()
}

/// The read models that are named, each once; all of them where none is.
pub(super) fn select_projections(
    stores: &AppContext,
    names: &[String],
) -> Result<Vec<Arc<dyn AnyProjection>>, UnknownReadModel> {
    let all = names.iter().any(|name| name == ALL);
    stores.read_models.select_read_models(if all { &[] } else { names })
}
