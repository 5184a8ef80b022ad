//! Read models of a test's own, in the shared engines.

use std::{path::PathBuf, sync::Arc};

use projections::{
    analytics::{Analytics, AnalyticsConfig},
    runtime::Projection as _,
    search::{Search, SearchConfig, StaticModel},
    views::{Views, ViewsConfig},
};

use tokio::sync::OnceCell;

use crate::{Namespace, engines, failure::or_fail};

/// A migrated ClickHouse database of the test's own.
///
/// # Panics
/// If ClickHouse does not do what it is asked.
pub async fn analytics() -> Analytics {
    let url = engines().await.variable("CLICKHOUSE_URL").to_owned();
    let config = AnalyticsConfig { url, database: Namespace::new().name().to_owned(), ..AnalyticsConfig::default() };
    let analytics = or_fail(Analytics::new(&config), "connecting to ClickHouse");
    or_fail(analytics.migrate().await, "migrating ClickHouse");
    analytics
}

/// Migrated Qdrant collections of the test's own.
///
/// # Panics
/// If Qdrant does not do what it is asked.
pub async fn search() -> Search {
    let config = SearchConfig {
        url: engines().await.variable("QDRANT_URL").to_owned(),
        collection_prefix: Namespace::new().collection_prefix(),
        ..SearchConfig::default()
    };
    let search = or_fail(Search::new(&config, Arc::new(embedding_model().await)), "connecting to Qdrant");
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
pub async fn views() -> Views {
    let views = or_fail(Views::new(&views_config().await), "connecting to Redis");
    or_fail(views.prepare().await, "preparing the views");
    views
}

/// Settings of Redis with a key prefix of the test's own.
pub async fn views_config() -> ViewsConfig {
    let url = engines().await.variable("REDIS_URL").to_owned();
    ViewsConfig { url, key_prefix: Namespace::new().key_prefix(), ..ViewsConfig::default() }
}
