//! Every projection. A new one is one folder beside this file, one field and one line here.

use std::sync::Arc;

use crate::{
    analytics::Analytics,
    runtime::{AnyProjection, Pointer, Projection},
    search::Search,
    views::Views,
};

/// A handle to every read model, each in one generation.
#[derive(Clone)]
pub struct ReadModels {
    /// Figures and lists.
    pub analytics: Analytics,
    /// Meanings.
    pub search: Search,
    /// Detail views.
    pub views: Views,
}

impl ReadModels {
    /// The same read models in the generations that readers see.
    #[must_use]
    pub fn at(&self, pointer: &Pointer) -> Self {
        Self {
            analytics: self.analytics.at(pointer.of(Analytics::NAME)),
            search: self.search.at(pointer.of(Search::NAME)),
            views: self.views.at(pointer.of(Views::NAME)),
        }
    }

    /// All of them as projections.
    pub fn all(&self) -> Vec<Arc<dyn AnyProjection>> {
        vec![Arc::new(self.analytics.clone()), Arc::new(self.search.clone()), Arc::new(self.views.clone())]
    }
}

/// The names of all projections.
pub const NAMES: [&str; 3] = [Analytics::NAME, Search::NAME, Views::NAME];
