//! The engines behind the stores: their names, and whether they answer.

use std::{fmt, time::Duration};

use projections::QueryError;
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool};

use super::{AskError, Stores};

/// How long an engine may take to answer that it is there.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A server that the product stores something in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
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
    Silent,
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
    Registry(#[source] AskError),
}

impl Engine {
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
    pub fn variable(self) -> &'static str {
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

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Stores {
    /// Whether an engine answers.
    ///
    /// # Errors
    /// [`PingError`] saying what it said instead.
    pub async fn ping(&self, engine: Engine) -> Result<(), PingError> {
        tokio::time::timeout(ANSWER_WITHIN, self.ask(engine)).await.unwrap_or(Err(PingError::Silent))
    }

    async fn ask(&self, engine: Engine) -> Result<(), PingError> {
        match engine {
            Engine::Postgres => reach_postgres(&self.pool).await.map_err(PingError::Postgres),
            Engine::Kafka => self.kafka.ping(ANSWER_WITHIN).await.map_err(PingError::Kafka),
            Engine::ClickHouse => self.live.now().analytics.ping().await.map_err(PingError::ReadModel),
            Engine::Qdrant => self.live.now().search.ping().await.map_err(PingError::ReadModel),
            Engine::Redis => self.live.now().views.ping().await.map_err(PingError::ReadModel),
            Engine::Registry => self.registry.ping().await.map_err(PingError::Registry),
        }
    }
}

/// Whether Postgres answers, on a connection of its own where the pool has none to spare: a pool that cannot connect
/// only says that it waited.
///
/// # Errors
/// What Postgres, or the network before it, said.
pub async fn reach_postgres(pool: &PgPool) -> Result<(), sqlx::Error> {
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
