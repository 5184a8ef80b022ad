//! Every projection. A new one is one folder beside this file, one field and one line here.

use std::sync::Arc;

use crate::{
    change_feed::ChangeFeed,
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::OpportunitySearch,
    opportunity_views::OpportunityViews,
    response_cache::ResponseCache,
    runtime::{AnyProjection, GenerationPointer, Projection},
    tenant_views::TenantViews,
};

/// A handle to every projection, each in one generation.
#[derive(Clone)]
pub struct ReadModels {
    /// Figures and lists.
    pub analytics: OpportunityAnalytics,
    /// Meanings.
    pub search: OpportunitySearch,
    /// Detail views.
    pub opportunity_views: OpportunityViews,
    /// What tenants own.
    pub tenant_views: TenantViews,
    /// Tells subscribers what changes; keeps nothing.
    pub change_feed: ChangeFeed,
    /// Keeps answers until they are old.
    pub response_cache: ResponseCache,
}

impl ReadModels {
    /// The same read models in the generations that readers see.
    #[must_use]
    pub fn with_generations(&self, pointer: &GenerationPointer) -> Self {
        Self {
            analytics: self.analytics.with_generation(pointer.active_generation(OpportunityAnalytics::NAME)),
            search: self.search.with_generation(pointer.active_generation(OpportunitySearch::NAME)),
            opportunity_views: self
                .opportunity_views
                .with_generation(pointer.active_generation(OpportunityViews::NAME)),
            tenant_views: self.tenant_views.with_generation(pointer.active_generation(TenantViews::NAME)),
            change_feed: self.change_feed.clone(),
            response_cache: self.response_cache.clone(),
        }
    }

    /// Everything that follows the log.
    pub fn all_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        vec![
            Arc::new(self.analytics.clone()),
            Arc::new(self.search.clone()),
            Arc::new(self.opportunity_views.clone()),
            Arc::new(self.tenant_views.clone()),
            Arc::new(self.change_feed.clone()),
            Arc::new(self.response_cache.clone()),
        ]
    }

    /// Those that keep what can be built anew and compared with the log.
    pub fn read_model_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        self.all_projections().into_iter().filter(|projection| projection.has_read_model()).collect()
    }
}

/// The names of all projections.
pub const PROJECTION_NAMES: [&str; 6] = [
    OpportunityAnalytics::NAME,
    OpportunitySearch::NAME,
    OpportunityViews::NAME,
    TenantViews::NAME,
    ChangeFeed::NAME,
    ResponseCache::NAME,
];

/// The names of those that keep what can be built anew and compared with the log.
pub const READ_MODEL_NAMES: [&str; 4] =
    [OpportunityAnalytics::NAME, OpportunitySearch::NAME, OpportunityViews::NAME, TenantViews::NAME];
