//! Read models, topics and a runtime for one benchmark, separate from those in use and removed afterwards.

use std::sync::Arc;

use anyhow::{Context, bail};
use api::{app_context, config::EngineConfig};
use eventstore::{
    log::PgLogReader,
    postgres::PostgresConfig,
    relay::{Relay, RelayConfig},
};
use projections::{
    read_models::ReadModels,
    runtime::{AnyProjection, ControlStore, ProjectionRuntime, ReadModelGeneration},
    storage::redis::RedisConfig,
};
use schemas::{catalog, registry_client::SchemaRegistryClient};
use secrecy::{ExposeSecret, SecretString};
use sqlx::PgPool;
use url::Url;
use uuid::Uuid;

use super::{baseline, bench_database, relay::topics, termination::TerminationSignals};

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
    // Loading takes a while, and the database's handlers of signals do not exist yet.
    let mut signals = TerminationSignals::install().context("listening for SIGTERM and SIGINT")?;
    let model = tokio::select! {
        model = app_context::load_embedding_model(&config.embedding) => Arc::new(model?),
        () = signals.recv_signal() => bail!("interrupted"),
    };
    bench_database::with_bench_database(&config.postgres, async |database| {
        let pool = &database.pool;
        let name = format!("bench_{}", Uuid::new_v4().simple());
        let config = isolate_config(config, &database.name, &name)?;
        let read_models = ReadModels::new(config.storages(), model)?;
        let log = Arc::new(PgLogReader::new(pool.clone()));
        let registry = SchemaRegistryClient::new(&config.registry)?;
        let runtime = ProjectionRuntime::new(ControlStore::new(pool.clone()), log, registry, config.worker.clone());
        let environment = BenchEnvironment { pool: pool.clone(), config, runtime, read_models, name_prefix: name };
        let outcome = database.run_until_interrupted(Box::pin(environment.run_prepared(work))).await;
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

    /// Removes the environment from every engine, also if one of them fails.
    ///
    /// # Errors
    /// The first error.
    async fn remove_environment(&self) -> anyhow::Result<()> {
        let models = self.discard_read_models().await;
        let keys = unlink_keys(&self.config.redis).await.context("removing the benchmark's keys in Redis");
        let analysts =
            baseline::remove_analyst_database(self).await.context("removing the benchmark's database for analysts");
        let topics = topics::delete_topics(&self.config.kafka, &self.name_prefix)
            .await
            .context("removing the benchmark's topics");
        models.and(keys).and(analysts).and(topics)
    }

    /// Discards every generation, also if one of them fails. Returns the first error.
    async fn discard_read_models(&self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for build in self.runtime.control().load_generations().await? {
            let all = self.read_models.all_projections();
            let Some(projection) = all.iter().find(|projection| projection.name() == build.projection) else {
                continue;
            };
            let discarded = projection.with_generation(build.generation).discard().await;
            outcome = outcome.and(discarded.context("removing the benchmark's read models"));
        }
        outcome
    }

    /// Returns the measured projections with these names; all of them if `names` is empty.
    pub(super) fn select_projections(&self, names: &[String]) -> Vec<Arc<dyn AnyProjection>> {
        let mut all = self.read_models.read_model_projections();
        all.retain(|projection| baseline::MEASURED_PROJECTIONS.contains(&projection.name()));
        all.retain(|projection| names.is_empty() || names.iter().any(|name| name == projection.name()));
        all
    }

    /// Creates a relay from the log of the environment to its topics.
    ///
    /// # Errors
    /// When a file of `registry.tls` cannot be used.
    pub(super) fn new_relay(&self) -> anyhow::Result<Relay> {
        let relay = RelayConfig { retry_ms: 100, ..self.config.relay.clone() };
        let registry = SchemaRegistryClient::new(&self.config.registry)?;
        let kafka = self.config.kafka.clone();
        Ok(Relay::new(self.pool.clone(), kafka, registry, catalog::all_schemas(), relay))
    }

    /// Returns the active generation of a projection.
    pub(super) async fn active_generation(
        &self,
        projection: &dyn AnyProjection,
    ) -> anyhow::Result<ReadModelGeneration> {
        Ok(self.runtime.control().load_pointer().await?.active_generation(projection.name()))
    }
}

/// Returns the settings with the benchmark's database, and with names that begin with `name` in every other engine.
fn isolate_config(config: &EngineConfig, database: &str, name: &str) -> anyhow::Result<EngineConfig> {
    let mut config = config.clone();
    config.postgres.url = database_url(&config.postgres, database)?;
    // The lists of the benchmark are in its database: those in use have the same schema names.
    config.lists.database_url = None;
    name.clone_into(&mut config.kafka.topic_prefix);
    name.clone_into(&mut config.worker.topic_prefix);
    config.worker.group_prefix = format!("{name}.");
    name.clone_into(&mut config.clickhouse.database);
    config.qdrant.collection_prefix = format!("{name}_");
    config.redis.key_prefix = format!("{name}:");
    Ok(config)
}

/// Returns the URL of a database on the server of the settings.
fn database_url(config: &PostgresConfig, database: &str) -> anyhow::Result<SecretString> {
    let mut url = Url::parse(config.url.expose_secret()).context("reading postgres.url")?;
    url.set_path(database);
    // This parameter precedes the path.
    let others: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != "dbname").collect();
    url.set_query(None);
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    Ok(String::from(url).into())
}

/// Removes what has no generation, such as cached answers of a service.
async fn unlink_keys(config: &RedisConfig) -> anyhow::Result<()> {
    let mut connection = config.open_client()?.get_multiplexed_async_connection().await?;
    let (mut cursor, pattern) = (0_u64, format!("{}*", config.key_prefix));
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection).await?;
        if !keys.is_empty() {
            redis::cmd("UNLINK").arg(keys).exec_async(&mut connection).await?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_setting_leads_to_data_in_use() {
        let mut used = EngineConfig::default();
        used.postgres.url = "postgres:///?host=/run/postgresql&dbname=medhub".into();
        used.lists.database_url = Some("postgres://127.0.0.1/lists".to_owned());

        let config = isolate_config(&used, "bench_database", "bench_1").unwrap();

        assert_eq!(config.postgres.url.expose_secret(), "postgres:///bench_database?host=%2Frun%2Fpostgresql");
        assert_eq!(config.lists.database_url, None);
        let names = [
            config.kafka.topic_prefix,
            config.worker.topic_prefix,
            config.worker.group_prefix,
            config.clickhouse.database,
            config.qdrant.collection_prefix,
            config.redis.key_prefix,
        ];
        assert!(names.iter().all(|name| name.starts_with("bench_1")), "{names:?}");
        let plain = PostgresConfig { url: "postgres://u:p%40@h:1/medhub?sslmode=require".into(), ..used.postgres };
        assert_eq!(database_url(&plain, "b").unwrap().expose_secret(), "postgres://u:p%40@h:1/b?sslmode=require");
    }
}
