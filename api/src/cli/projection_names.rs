//! Naming projections on the command line.

use std::sync::Arc;

use projections::{catalog, runtime::AnyProjection};

use crate::store::{Stores, UnknownReadModel};

/// Stands for every read model.
pub(super) const ALL: &str = "all";

/// The read models that can be named.
pub(super) fn possible() -> Vec<&'static str> {
    catalog::KEPT.into_iter().chain([ALL]).collect()
}

/// The read models that are named, each once; all of them where none is.
pub(super) fn chosen(stores: &Stores, names: &[String]) -> Result<Vec<Arc<dyn AnyProjection>>, UnknownReadModel> {
    let all = names.iter().any(|name| name == ALL);
    stores.live.kept(if all { &[] } else { names })
}
