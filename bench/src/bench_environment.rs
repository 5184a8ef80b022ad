//! Read models, topics and a runtime for one benchmark, separate from those in use and removed afterwards.

use std::sync::Arc;

use anyhow::Context;
use api::{app_context, config::EngineConfig};
use eventstore::{
    log::PgLogReader,
    relay::{Relay, RelayConfig},
};
use projections::{
    change_feed::ChangeFeed,
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::OpportunitySearch,
    opportunity_views::OpportunityViews,
    read_models::ReadModels,
    response_cache::ResponseCache,
    runtime::{AnyProjection, ControlStore, ProjectionRuntime, ReadModelGeneration},
    tenant_views::TenantViews,
};
use schemas::registry_client::SchemaRegistryClient;
use sqlx::PgPool;
use uuid::Uuid;

use super::{baseline, bench_database, relay::topics};

/// The environment of a benchmark of read models.
pub(super) struct BenchEnvironment {
    pub(super) pool: PgPool,
    pub(super) config: EngineConfig,
    pub(super) runtime: ProjectionRuntime,
    pub(super) read_models: ReadModels,
    /// Prefix of the names in every engine.
    pub(super) name_prefix: String,
}

/// Runs `work` in a new environment, and removes the environment in any case.
///
/// # Errors
/// The error of `work`, or of creating or removing the environment.
pub(super) async fn with_bench_environment<T>(
    config: &EngineConfig,
    work: impl AsyncFnOnce(&BenchEnvironment) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let model = Arc::new(app_context::load_embedding_model(&config.embedding).await?);
    bench_database::with_bench_database(&config.postgres, async |database| {
        let pool = &database.pool;
        let name = format!("bench_{}", Uuid::new_v4().simple());
        let mut config = config.clone();
        config.kafka.topic_prefix.clone_from(&name);
        config.worker.topic_prefix.clone_from(&name);
        config.worker.group_prefix = format!("{name}.");
        config.clickhouse.database.clone_from(&name);
        config.qdrant.collection_prefix = format!("{name}_");
        config.redis.key_prefix = format!("{name}:");
        let read_models = ReadModels {
            analytics: OpportunityAnalytics::new(&config.clickhouse)?,
            search: OpportunitySearch::new(&config.qdrant, model)?,
            opportunity_views: OpportunityViews::new(&config.redis)?,
            tenant_views: TenantViews::new(&config.redis)?,
            change_feed: ChangeFeed::new(&config.redis)?,
            response_cache: ResponseCache::new(&config.redis)?,
        };
        let log = Arc::new(PgLogReader::new(pool.clone()));
        let registry = SchemaRegistryClient::new(&config.registry);
        let runtime = ProjectionRuntime::new(ControlStore::new(pool.clone()), log, registry, config.worker.clone());
        let environment = BenchEnvironment { pool: pool.clone(), config, runtime, read_models, name_prefix: name };
        let outcome = database.run_until_interrupted(environment.run_prepared(work)).await;
        let removed = environment.remove_environment().await;
        outcome.and_then(|result| removed.map(|()| result))
    })
    .await
}

impl BenchEnvironment {
    async fn run_prepared<T>(&self, work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>) -> anyhow::Result<T> {
        eventstore::topic::ensure_topics(&self.config.kafka).await.context("creating topics")?;
        let projections = self.read_models.all_projections();
        self.runtime.register_projections(&projections).await?;
        for projection in projections {
            projection.prepare().await.with_context(|| format!("preparing {}", projection.name()))?;
        }
        work(self).await
    }

    async fn remove_environment(&self) -> anyhow::Result<()> {
        for build in self.runtime.control().load_generations().await? {
            let all = self.read_models.all_projections();
            let Some(projection) = all.iter().find(|projection| projection.name() == build.projection) else {
                continue;
            };
            projection
                .with_generation(build.generation)
                .discard()
                .await
                .context("removing the benchmark's read models")?;
        }
        baseline::remove_analyst_database(self).await.context("removing the benchmark's database for analysts")?;
        topics::delete_topics(&self.config.kafka, &self.name_prefix).await.context("removing the benchmark's topics")
    }

    /// Returns the measured projections with these names; all of them if `names` is empty.
    pub(super) fn select_projections(&self, names: &[String]) -> Vec<Arc<dyn AnyProjection>> {
        let mut all = self.read_models.read_model_projections();
        all.retain(|projection| baseline::MEASURED_PROJECTIONS.contains(&projection.name()));
        all.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        all
    }

    /// Creates a relay from the log of the environment to its topics.
    pub(super) fn new_relay(&self) -> Relay {
        let relay = RelayConfig { retry_ms: 100, ..self.config.relay.clone() };
        Relay::new(
            self.pool.clone(),
            self.config.kafka.clone(),
            SchemaRegistryClient::new(&self.config.registry),
            relay,
        )
    }

    /// Returns the active generation of a projection.
    pub(super) async fn active_generation(
        &self,
        projection: &dyn AnyProjection,
    ) -> anyhow::Result<ReadModelGeneration> {
        Ok(self.runtime.control().load_pointer().await?.active_generation(projection.name()))
    }
}
