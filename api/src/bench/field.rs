//! Read models, topics and a runtime for one benchmark, beside those in use; removed when it is done.

use std::sync::Arc;

use anyhow::Context;
use eventstore::{
    reader::PgLog,
    relay::{Relay, RelayConfig},
};
use projections::{
    analytics::Analytics,
    answers::Answers,
    catalog::ReadModels,
    live::Live,
    runtime::{AnyProjection, Control, Generation, Runtime},
    search::Search,
    views::Views,
    workspace::Workspace,
};
use schemas::registry::Registry;
use sqlx::PgPool;
use uuid::Uuid;

use super::{database, raw, relay::topics};
use crate::{config::Config, store};

/// Everything that a benchmark of read models needs.
pub(super) struct Field {
    pub(super) pool: PgPool,
    pub(super) config: Config,
    pub(super) runtime: Runtime,
    pub(super) models: ReadModels,
    /// What the names in every store begin with.
    pub(super) name: String,
}

/// Runs `work` on a field of its own, and removes it however the work ends.
///
/// # Errors
/// What the work failed with, or why the field could not be made or removed.
pub(super) async fn with_own<T>(
    config: &Config,
    work: impl AsyncFnOnce(&Field) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let model = Arc::new(store::load_model(&config.embedding).await?);
    database::with_own(&config.postgres, async |own| {
        let pool = &own.pool;
        let name = format!("bench_{}", Uuid::new_v4().simple());
        let mut config = config.clone();
        config.kafka.topic_prefix.clone_from(&name);
        config.worker.topic_prefix.clone_from(&name);
        config.worker.group_prefix = format!("{name}.");
        config.clickhouse.database.clone_from(&name);
        config.qdrant.collection_prefix = format!("{name}_");
        config.redis.key_prefix = format!("{name}:");
        let models = ReadModels {
            analytics: Analytics::new(&config.clickhouse)?,
            search: Search::new(&config.qdrant, model)?,
            views: Views::new(&config.redis)?,
            workspace: Workspace::new(&config.redis)?,
            live: Live::new(&config.redis)?,
            answers: Answers::new(&config.redis)?,
        };
        let log = Arc::new(PgLog::new(pool.clone()));
        let registry = Registry::new(&config.registry);
        let runtime = Runtime::new(Control::new(pool.clone()), log, registry, config.worker.clone());
        let field = Field { pool: pool.clone(), config, runtime, models, name };
        let outcome = own.measure(field.prepared(work)).await;
        let removed = field.remove().await;
        outcome.and_then(|done| removed.map(|()| done))
    })
    .await
}

impl Field {
    async fn prepared<T>(&self, work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        eventstore::topic::ensure(&self.config.kafka).await.context("making topics")?;
        let projections = self.models.all();
        self.runtime.register(&projections).await?;
        for projection in projections {
            projection.prepare().await.with_context(|| format!("preparing {}", projection.name()))?;
        }
        work(self).await
    }

    async fn remove(&self) -> anyhow::Result<()> {
        for build in self.runtime.control().builds().await? {
            let all = self.models.all();
            let Some(projection) = all.iter().find(|projection| projection.name() == build.projection) else {
                continue;
            };
            projection.at(build.generation).discard().await.context("removing the benchmark's read models")?;
        }
        raw::remove_shown(self).await.context("removing the benchmark's database for analysts")?;
        topics::remove(&self.config.kafka, &self.name).await.context("removing the benchmark's topics")
    }

    /// The measured projections with these names; all of them where none is named.
    pub(super) fn chosen(&self, names: &[String]) -> Vec<Arc<dyn AnyProjection>> {
        let mut all = self.models.kept();
        all.retain(|projection| raw::MEASURED.contains(&projection.name()));
        all.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        all
    }

    /// A relay from the field's log to its topics.
    pub(super) fn relay(&self) -> Relay {
        let relay = RelayConfig { retry_ms: 100, ..self.config.relay.clone() };
        Relay::new(self.pool.clone(), self.config.kafka.clone(), Registry::new(&self.config.registry), relay)
    }

    /// The generation that readers of a projection see.
    pub(super) async fn live(&self, projection: &dyn AnyProjection) -> anyhow::Result<Generation> {
        Ok(self.runtime.control().pointer().await?.of(projection.name()))
    }
}
