//! Read models of a test's own, in the shared engines.

use std::{path::PathBuf, sync::Arc};

use projections::{
    opportunity_analytics::OpportunityAnalytics,
    opportunity_lists::OpportunityLists,
    opportunity_search::{OpportunitySearch, StaticModel},
    opportunity_views::OpportunityViews,
    runtime::Projection as _,
    storage::{clickhouse::ClickHouseConfig, postgres::ListsConfig, qdrant::QdrantConfig, redis::RedisConfig},
};
use tokio::sync::OnceCell;

use crate::{TestNamespace, engines, failure::or_fail};

/// A migrated ClickHouse database of the test's own.
///
/// # Panics
/// If ClickHouse refuses or is unavailable.
pub async fn analytics() -> OpportunityAnalytics {
    let analytics = analytics_in(TestNamespace::new().name()).await;
    or_fail(analytics.migrate().await, "migrating ClickHouse");
    analytics
}

/// A client of a ClickHouse database that several tests share. Each test has a client of its own, whose connections end
/// with the test.
///
/// # Panics
/// If ClickHouse's URL is invalid.
pub async fn analytics_in(database: &str) -> OpportunityAnalytics {
    let url = engines().await.variable("CLICKHOUSE_URL").to_owned();
    let config = ClickHouseConfig { url, database: database.to_owned(), ..ClickHouseConfig::default() };
    or_fail(OpportunityAnalytics::new(&config), "connecting to ClickHouse")
}

/// Lists of the test's own, in the database of [`crate::shared_database`].
///
/// # Panics
/// If Postgres refuses or is unavailable.
pub async fn lists() -> OpportunityLists {
    let schema_prefix = format!("{}_", TestNamespace::new().name());
    let config = ListsConfig { schema_prefix, ..ListsConfig::default() };
    let lists = OpportunityLists::new(&config, engines().await.variable("DATABASE_URL"));
    let lists = or_fail(lists, "connecting to Postgres");
    or_fail(lists.prepare().await, "creating the tables of the lists");
    lists
}

/// Migrated Qdrant collections of the test's own.
///
/// # Panics
/// If Qdrant refuses or is unavailable.
pub async fn search() -> OpportunitySearch {
    let config = QdrantConfig {
        url: engines().await.variable("QDRANT_URL").to_owned(),
        collection_prefix: TestNamespace::new().collection_prefix(),
        ..QdrantConfig::default()
    };
    let search = or_fail(OpportunitySearch::new(&config, Arc::new(embedding_model().await)), "connecting to Qdrant");
    or_fail(search.migrate().await, "migrating Qdrant");
    search
}

/// The embedding model, which is loaded once for all tests.
///
/// # Panics
/// If it cannot be read.
pub async fn embedding_model() -> StaticModel {
    static MODEL: OnceCell<StaticModel> = OnceCell::const_new();
    let folder = PathBuf::from(engines().await.variable("MEDHUB__EMBEDDING__MODEL_DIR"));
    let load = async || or_fail(StaticModel::load(&folder), "loading the embeddings");
    MODEL.get_or_init(load).await.clone()
}

/// Views in Redis under keys of the test's own.
///
/// # Panics
/// If Redis does not answer.
pub async fn views() -> OpportunityViews {
    let views = or_fail(OpportunityViews::new(&views_config().await), "connecting to Redis");
    or_fail(views.prepare().await, "preparing the views");
    views
}

/// Settings of Redis with a key prefix of the test's own.
pub async fn views_config() -> RedisConfig {
    let url = engines().await.variable("REDIS_URL").to_owned();
    RedisConfig { url, key_prefix: TestNamespace::new().key_prefix(), ..RedisConfig::default() }
}

/// Settings of a Redis that does not answer.
pub fn redis_away() -> RedisConfig {
    RedisConfig { url: "redis://127.0.0.1:1".to_owned(), ..RedisConfig::default() }
}
