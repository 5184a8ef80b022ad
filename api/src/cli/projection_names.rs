//! Naming projections on the command line.

use std::sync::Arc;

use anyhow::bail;
use projections::{catalog, runtime::AnyProjection};

use crate::store::Stores;

/// Stands for every projection.
pub(super) const ALL: &str = "all";

/// What can be named.
pub(super) fn possible() -> Vec<&'static str> {
    catalog::NAMES.into_iter().chain([ALL]).collect()
}

/// The projections that are named, each once; all of them where none is.
pub(super) fn chosen(stores: &Stores, names: &[String]) -> anyhow::Result<Vec<Arc<dyn AnyProjection>>> {
    let mut chosen = stores.live.now().all();
    if !names.is_empty() && !names.iter().any(|name| name == ALL) {
        chosen.retain(|projection| names.iter().any(|name| name == projection.name()));
    }
    if chosen.is_empty() {
        bail!("there is no projection of that name; there are {}", catalog::NAMES.join(", "));
    }
    Ok(chosen)
}
