//! The list of all projections. A new projection is a folder next to this file, one entry in the list below, and its
//! constructor in [`ReadModels::new`].

use std::sync::Arc;

use crate::{
    QueryError,
    change_feed::ChangeFeed,
    opportunity_analytics::OpportunityAnalytics,
    opportunity_lists::OpportunityLists,
    opportunity_search::{Embedder, OpportunitySearch},
    opportunity_views::OpportunityViews,
    response_cache::ResponseCache,
    runtime::{AnyProjection, GenerationPointer, Projection},
    storage::{clickhouse::ClickHouseConfig, postgres::ListsConfig, qdrant::QdrantConfig, redis::RedisConfig},
    tenant_views::TenantViews,
};

/// The settings of the storages that hold read models.
#[derive(Clone, Copy)]
pub struct StorageSettings<'a> {
    /// `ClickHouse`.
    pub clickhouse: &'a ClickHouseConfig,
    /// `Qdrant`.
    pub qdrant: &'a QdrantConfig,
    /// `Redis`.
    pub redis: &'a RedisConfig,
    /// Lists in `Postgres`.
    pub lists: &'a ListsConfig,
    /// The event store's database, which has the lists unless their settings name another.
    pub event_store_url: &'a str,
}

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
    /// Figures for analysts in `ClickHouse`.
    analytics: OpportunityAnalytics,
    /// Lists, their counts and figures in `Postgres`.
    opportunity_lists: OpportunityLists,
    /// Search in `Qdrant`.
    search: OpportunitySearch,
    /// Detail views, counters and leaderboards in `Redis`.
    opportunity_views: OpportunityViews,
    /// Aggregates of tenants, in `Redis`.
    tenant_views: TenantViews,
    /// Publishes changes to subscribers; a forwarding projection.
    change_feed: ChangeFeed,
    /// Cached responses, which events invalidate; a forwarding projection.
    response_cache: ResponseCache,
}

impl ReadModels {
    /// Handles to the first generation of each projection. Storages are connected to on first use.
    ///
    /// # Errors
    /// [`QueryError`] when a setting is invalid.
    pub fn new(storages: StorageSettings<'_>, embedder: Arc<dyn Embedder>) -> Result<Self, QueryError> {
        Ok(Self {
            analytics: OpportunityAnalytics::new(storages.clickhouse)?,
            opportunity_lists: OpportunityLists::new(storages.lists, storages.event_store_url)?,
            search: OpportunitySearch::new(storages.qdrant, embedder)?,
            opportunity_views: OpportunityViews::new(storages.redis)?,
            tenant_views: TenantViews::new(storages.redis)?,
            change_feed: ChangeFeed::new(storages.redis)?,
            response_cache: ResponseCache::new(storages.redis)?,
        })
    }

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
