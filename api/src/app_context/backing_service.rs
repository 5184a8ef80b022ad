//! The engines that the product needs: their names, and whether they answer.

use std::{fmt, time::Duration};

use objects::ObjectStoreError;
use projections::QueryError;
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool};

use super::{AppContext, RegistryLookupError};

/// Timeout of a ping.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// An engine: an external server that the product needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackingService {
    /// The event store.
    Postgres,
    /// The event topics.
    Kafka,
    /// Read models for analytics and lists.
    ClickHouse,
    /// Read models for search.
    Qdrant,
    /// Detail views, tenant views, the change feed and caches.
    Redis,
    /// The schema registry.
    Registry,
    /// The object store, which holds the files of documents: a bucket or a folder.
    Objects,
}

/// Why an engine is considered unavailable.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// The ping timed out.
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    Timeout,
    /// The ping of Postgres failed.
    #[error("connecting to Postgres")]
    Postgres(#[source] sqlx::Error),
    /// The request for metadata from Kafka failed.
    #[error("connecting to Kafka")]
    Kafka(#[source] rdkafka::error::KafkaError),
    /// The ping of a read model's storage failed.
    #[error("connecting to the storage of a read model")]
    ReadModel(#[source] QueryError),
    /// The request to the schema registry failed.
    #[error("connecting to the schema registry")]
    Registry(#[source] RegistryLookupError),
    /// The bucket cannot be listed, or the folder cannot be read.
    #[error("reaching the object store")]
    Objects(#[source] ObjectStoreError),
}

impl BackingService {
    /// All engines, in the order in which an event passes through them.
    pub const ALL: [Self; 7] =
        [Self::Postgres, Self::Registry, Self::Kafka, Self::ClickHouse, Self::Qdrant, Self::Redis, Self::Objects];

    /// Returns the display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Kafka => "Kafka",
            Self::ClickHouse => "ClickHouse",
            Self::Qdrant => "Qdrant",
            Self::Redis => "Redis",
            Self::Registry => "Registry",
            Self::Objects => "Objects",
        }
    }

    /// Returns the environment variable with its address.
    pub fn env_variable(self) -> &'static str {
        match self {
            Self::Postgres => "DATABASE_URL",
            Self::Kafka => "KAFKA_BROKERS",
            Self::ClickHouse => "CLICKHOUSE_URL",
            Self::Qdrant => "QDRANT_URL",
            Self::Redis => "REDIS_URL",
            Self::Registry => "SCHEMA_REGISTRY_URL",
            Self::Objects => "MEDHUB__OBJECTS__S3__ENDPOINT",
        }
    }
}

impl fmt::Display for BackingService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl AppContext {
    /// Checks that an engine answers.
    ///
    /// # Errors
    /// [`PingError`] when it does not answer within 3 s, or with an error.
    pub async fn ping(&self, engine: BackingService) -> Result<(), PingError> {
        tokio::time::timeout(ANSWER_WITHIN, self.send_ping(engine)).await.unwrap_or(Err(PingError::Timeout))
    }

    async fn send_ping(&self, engine: BackingService) -> Result<(), PingError> {
        match engine {
            BackingService::Postgres => ping_postgres(&self.pool).await.map_err(PingError::Postgres),
            BackingService::Kafka => self.kafka.ping(ANSWER_WITHIN).await.map_err(PingError::Kafka),
            BackingService::ClickHouse => {
                self.read_models.current().analytics.ping().await.map_err(PingError::ReadModel)
            }
            BackingService::Qdrant => self.read_models.current().search.ping().await.map_err(PingError::ReadModel),
            BackingService::Redis => {
                self.read_models.current().opportunity_views.ping().await.map_err(PingError::ReadModel)
            }
            BackingService::Registry => self.registry_client.ping().await.map_err(PingError::Registry),
            BackingService::Objects => self.objects.ping().await.map_err(PingError::Objects),
        }
    }
}

/// Checks that Postgres answers, over a new connection if the pool has no idle one: a pool that cannot connect only
/// reports a timeout.
///
/// # Errors
/// [`sqlx::Error`] when Postgres or the connection fails.
pub async fn ping_postgres(pool: &PgPool) -> Result<(), sqlx::Error> {
    if let Some(mut idle) = pool.try_acquire() {
        return idle.ping().await;
    }
    let mut fresh = PgConnection::connect_with(&pool.connect_options()).await?;
    fresh.ping().await?;
    fresh.close().await
}

/// Returns whether `medhub migrate` has prepared the database.
///
/// # Errors
/// [`sqlx::Error`] when Postgres or the connection fails.
pub async fn is_migrated(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('projection_pointer') is not null").fetch_one(pool).await
}
