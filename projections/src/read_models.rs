//! The list of all projections. A new projection is a folder beside this file, a field of [`ReadModels`], and an entry
//! in each list of this file.

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

/// Handles to all projections, each to one generation.
#[derive(Clone)]
pub struct ReadModels {
    /// Figures and lists in `ClickHouse`.
    pub analytics: OpportunityAnalytics,
    /// Search in `Qdrant`.
    pub search: OpportunitySearch,
    /// Detail views, counters and leaderboards in `Redis`.
    pub opportunity_views: OpportunityViews,
    /// Aggregates of tenants, in `Redis`.
    pub tenant_views: TenantViews,
    /// Publishes changes to subscribers; stateless.
    pub change_feed: ChangeFeed,
    /// Cached responses, which events invalidate; stateless.
    pub response_cache: ResponseCache,
}

impl ReadModels {
    /// Handles to the active generations of the same projections.
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

    /// All projections.
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

    /// The projections that have a read model, which can be rebuilt and verified.
    pub fn read_model_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        self.all_projections().into_iter().filter(|projection| projection.has_read_model()).collect()
    }
}

/// Names of all projections.
pub const PROJECTION_NAMES: [&str; 6] = [
    OpportunityAnalytics::NAME,
    OpportunitySearch::NAME,
    OpportunityViews::NAME,
    TenantViews::NAME,
    ChangeFeed::NAME,
    ResponseCache::NAME,
];

/// Names of the projections that have a read model, which can be rebuilt and verified.
pub const READ_MODEL_NAMES: [&str; 4] =
    [OpportunityAnalytics::NAME, OpportunitySearch::NAME, OpportunityViews::NAME, TenantViews::NAME];
