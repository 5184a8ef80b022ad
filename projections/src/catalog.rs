//! Every projection. A new one is one folder beside this file, one field and one line here.

use std::sync::Arc;

use crate::{
    analytics::Analytics,
    answers::Answers,
    live::Live,
    runtime::{AnyProjection, Pointer, Projection},
    search::Search,
    views::Views,
    workspace::Workspace,
};

/// A handle to every projection, each in one generation.
#[derive(Clone)]
pub struct ReadModels {
    /// Figures and lists.
    pub analytics: Analytics,
    /// Meanings.
    pub search: Search,
    /// Detail views.
    pub views: Views,
    /// What tenants own.
    pub workspace: Workspace,
    /// Tells subscribers what changes; keeps nothing.
    pub live: Live,
    /// Keeps answers until they are old.
    pub answers: Answers,
}

impl ReadModels {
    /// The same read models in the generations that readers see.
    #[must_use]
    pub fn at(&self, pointer: &Pointer) -> Self {
        Self {
            analytics: self.analytics.at(pointer.of(Analytics::NAME)),
            search: self.search.at(pointer.of(Search::NAME)),
            views: self.views.at(pointer.of(Views::NAME)),
            workspace: self.workspace.at(pointer.of(Workspace::NAME)),
            live: self.live.clone(),
            answers: self.answers.clone(),
        }
    }

    /// Everything that follows the log.
    pub fn all(&self) -> Vec<Arc<dyn AnyProjection>> {
        vec![
            Arc::new(self.analytics.clone()),
            Arc::new(self.search.clone()),
            Arc::new(self.views.clone()),
            Arc::new(self.workspace.clone()),
            Arc::new(self.live.clone()),
            Arc::new(self.answers.clone()),
        ]
    }

    /// Those that keep what can be built anew and compared with the log.
    pub fn kept(&self) -> Vec<Arc<dyn AnyProjection>> {
        self.all().into_iter().filter(|projection| projection.keeps()).collect()
    }
}

/// The names of all projections.
pub const NAMES: [&str; 6] = [Analytics::NAME, Search::NAME, Views::NAME, Workspace::NAME, Live::NAME, Answers::NAME];

/// The names of those that keep what can be built anew and compared with the log.
pub const KEPT: [&str; 4] = [Analytics::NAME, Search::NAME, Views::NAME, Workspace::NAME];
