//! Names of read models on the command line.

use std::sync::Arc;

use projections::{read_models, runtime::AnyProjection};

use api::app_context::{AppContext, UnknownReadModel};

/// Selects every read model.
pub(super) const ALL: &str = "all";

/// Returns the names of all read models, and [`ALL`].
pub(super) fn possible_names() -> Vec<&'static str> {
    read_models::read_model_names().into_iter().chain([ALL]).collect()
}

/// Returns the named read models, each once; all of them if `names` is empty or contains [`ALL`].
pub(super) fn select_projections(
    app: &AppContext,
    names: &[String],
) -> Result<Vec<Arc<dyn AnyProjection>>, UnknownReadModel> {
    let all = names.iter().any(|name| name == ALL);
    app.read_models.select_read_models(if all { &[] } else { names })
}
