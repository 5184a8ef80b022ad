//! The list of all projections. A new projection is a folder beside this file and one entry in the list below.

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

/// Declares [`ReadModels`] and the lists of projections from one list of fields.
macro_rules! read_models {
    ($($(#[$doc:meta])* $field:ident: $projection:ty,)+) => {
        /// Handles to all projections, each to one generation.
        #[derive(Clone)]
        pub struct ReadModels {
            $($(#[$doc])* pub $field: $projection,)+
        }

        impl ReadModels {
            /// Handles to the active generations of the same projections.
            #[must_use]
            pub fn with_generations(&self, pointer: &GenerationPointer) -> Self {
                Self {
                    $($field: Projection::with_generation(
                        &self.$field,
                        pointer.active_generation(<$projection>::NAME),
                    ),)+
                }
            }

            /// All projections.
            pub fn all_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
                vec![$(Arc::new(self.$field.clone()),)+]
            }
        }

        /// Each projection's name, and whether it has a read model.
        const PROJECTIONS: &[(&str, bool)] = &[$((<$projection>::NAME, <$projection>::HAS_READ_MODEL),)+];
    };
}

read_models! {
    /// Figures and lists in `ClickHouse`.
    analytics: OpportunityAnalytics,
    /// Search in `Qdrant`.
    search: OpportunitySearch,
    /// Detail views, counters and leaderboards in `Redis`.
    opportunity_views: OpportunityViews,
    /// Aggregates of tenants, in `Redis`.
    tenant_views: TenantViews,
    /// Publishes changes to subscribers; stateless.
    change_feed: ChangeFeed,
    /// Cached responses, which events invalidate; stateless.
    response_cache: ResponseCache,
}

impl ReadModels {
    /// The projections that have a read model, which can be rebuilt and verified.
    pub fn read_model_projections(&self) -> Vec<Arc<dyn AnyProjection>> {
        self.all_projections().into_iter().filter(|projection| projection.has_read_model()).collect()
    }
}

/// Names of all projections.
pub fn projection_names() -> Vec<&'static str> {
    PROJECTIONS.iter().map(|(name, _)| *name).collect()
}

/// Names of the projections that have a read model, which can be rebuilt and verified.
pub fn read_model_names() -> Vec<&'static str> {
    PROJECTIONS.iter().filter(|(_, has_read_model)| *has_read_model).map(|(name, _)| *name).collect()
}
