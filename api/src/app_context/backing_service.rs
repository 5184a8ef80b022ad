//! The engines behind the stores: their names, and whether they answer.

use std::{fmt, time::Duration};

use projections::QueryError;
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool};

use super::{AppContext, RegistryLookupError};

/// How long an engine may take to answer that it is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A server that the product stores something in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackingService {
    /// The log of events.
    Postgres,
    /// The topics that carry them.
    Kafka,
    /// Figures and lists.
    ClickHouse,
    /// Meanings.
    Qdrant,
    /// Detail views.
    Redis,
    /// The shapes of the events on the topics.
    Registry,
}

/// Why an engine counts as away.
#[derive(Debug, thiserror::Error)]
pub enum PingError {
    /// It did not answer in time.
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    Timeout,
    /// Postgres refused.
    #[error("asking Postgres")]
    Postgres(#[source] sqlx::Error),
    /// Kafka refused.
    #[error("asking Kafka")]
    Kafka(#[source] rdkafka::error::KafkaError),
    /// A read model's store refused.
    #[error("asking a read model's store")]
    ReadModel(#[source] QueryError),
    /// The schema registry refused.
    #[error("asking the schema registry")]
    Registry(#[source] RegistryLookupError),
}

impl BackingService {
    /// All of them, in the order in which an event meets them.
    pub const ALL: [Self; 6] =
        [Self::Postgres, Self::Registry, Self::Kafka, Self::ClickHouse, Self::Qdrant, Self::Redis];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Kafka => "Kafka",
            Self::ClickHouse => "ClickHouse",
            Self::Qdrant => "Qdrant",
            Self::Redis => "Redis",
            Self::Registry => "Registry",
        }
    }

    /// The variable that says where it is.
    pub fn env_variable(self) -> &'static str {
        match self {
            Self::Postgres => "DATABASE_URL",
            Self::Kafka => "KAFKA_BROKERS",
            Self::ClickHouse => "CLICKHOUSE_URL",
            Self::Qdrant => "QDRANT_URL",
            Self::Redis => "REDIS_URL",
            Self::Registry => "SCHEMA_REGISTRY_URL",
        }
    }
}

impl fmt::Display for BackingService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl AppContext {
    /// Whether an engine answers.
    ///
    /// # Errors
    /// [`PingError`] saying what it said instead.
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
        }
    }
}

/// Whether Postgres answers, on a connection of its own where the pool has none to spare: a pool that cannot connect
/// only says that it waited.
///
/// # Errors
/// What Postgres, or the network before it, said.
pub async fn ping_postgres(pool: &PgPool) -> Result<(), sqlx::Error> {
    if let Some(mut idle) = pool.try_acquire() {
        return idle.ping().await;
    }
    let mut fresh = PgConnection::connect_with(&pool.connect_options()).await?;
    fresh.ping().await?;
    fresh.close().await
}

/// Whether `medhub migrate` has prepared the database.
///
/// # Errors
/// What Postgres, or the network before it, said.
pub async fn is_migrated(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('projection_pointer') is not null").fetch_one(pool).await
}
