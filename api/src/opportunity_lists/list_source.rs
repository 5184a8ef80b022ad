//! The read model that a request's lists are read from.

use projections::{
    opportunity_analytics::OpportunityAnalytics,
    opportunity_lists::OpportunityLists,
    runtime::{AnyProjection, ReadModelGeneration},
};

/// One generation of the read model that lists are read from.
#[derive(Clone)]
pub(super) struct ListSource {
    pub(super) store: ListStore,
    pub(super) generation: ReadModelGeneration,
}

/// The read model of a [`ListSource`].
#[derive(Clone)]
pub(super) enum ListStore {
    /// The read model of lists.
    Lists(OpportunityLists),
    /// The analysts' read model, while the read model of lists is being built.
    Analytics(Box<OpportunityAnalytics>),
}

impl ListSource {
    pub(super) fn lists(lists: OpportunityLists, generation: ReadModelGeneration) -> Self {
        Self { store: ListStore::Lists(lists), generation }
    }

    pub(super) fn analytics(analytics: OpportunityAnalytics, generation: ReadModelGeneration) -> Self {
        Self { store: ListStore::Analytics(Box::new(analytics)), generation }
    }

    pub(super) fn read_model(&self) -> &dyn AnyProjection {
        match &self.store {
            ListStore::Lists(lists) => lists,
            ListStore::Analytics(analytics) => &**analytics,
        }
    }

    /// Distinguishes the results of read models and their generations.
    pub(super) fn key(&self) -> String {
        format!("{}:{}", self.read_model().name(), self.generation)
    }
}
