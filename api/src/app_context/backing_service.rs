//! The engines that the product needs: their names, and whether they answer.

use std::{fmt, time::Duration};

use engine_kinds::EngineKind;
use objects::ObjectStoreError;
use projections::QueryError;
use serde::{Serialize, Serializer};
use sqlx::{Connection, PgConnection, PgPool};

use super::{AppContext, RegistryLookupError, kafka_client::KafkaPingError};

/// Timeout of a ping.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The external services that the product needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackingService {
    /// An engine.
    Engine(EngineKind),
    /// The database of the lists: the event store's unless `lists.database_url` names another.
    Lists,
    /// The object store, which holds the files of documents: a bucket or a folder.
    Objects,
}

/// Timeout of a ping of Kafka: shorter, so that what its client reports is in the error.
const KAFKA_ANSWER_WITHIN: Duration = Duration::from_millis(2_700);

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
    Kafka(#[source] KafkaPingError),
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
    /// The event store, and the lists unless they have their own database.
    pub const POSTGRES: Self = Self::Engine(EngineKind::Postgres);
    /// The schema registry.
    pub const REGISTRY: Self = Self::Engine(EngineKind::Registry);
    /// The event topics.
    pub const KAFKA: Self = Self::Engine(EngineKind::Kafka);
    /// Read models for analytics.
    pub const CLICKHOUSE: Self = Self::Engine(EngineKind::ClickHouse);
    /// Read models for search.
    pub const QDRANT: Self = Self::Engine(EngineKind::Qdrant);
    /// Detail views, tenant views, the change feed and caches.
    pub const REDIS: Self = Self::Engine(EngineKind::Redis);

    /// All engines, in the order that an event passes through them, the database of the lists, and the object store.
    pub const ALL: [Self; 8] = {
        let mut all = [Self::Objects; EngineKind::ALL.len() + 2];
        all[EngineKind::ALL.len()] = Self::Lists;
        let mut index = 0;
        while index < EngineKind::ALL.len() {
            all[index] = Self::Engine(EngineKind::ALL[index]);
            index += 1;
        }
        all
    };

    /// Returns the display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine(engine) => engine.display_name(),
            Self::Lists => "Lists",
            Self::Objects => "Objects",
        }
    }

    /// Returns the environment variable with its address.
    pub fn env_variable(self) -> &'static str {
        match self {
            Self::Engine(engine) => engine.variable(),
            Self::Lists => "MEDHUB__LISTS__DATABASE_URL",
            Self::Objects => "MEDHUB__OBJECTS__S3__ENDPOINT",
        }
    }
}

impl Serialize for BackingService {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Engine(engine) => engine.name(),
            Self::Lists => "lists",
            Self::Objects => "objects",
        })
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
            BackingService::POSTGRES => ping_postgres(&self.pool).await.map_err(PingError::Postgres),
            BackingService::Lists => {
                let models = self.read_models.current();
                let lists = &models.opportunity_lists;
                if lists.has_own_database() {
                    lists.ping().await.map_err(PingError::ReadModel)
                } else {
                    ping_postgres(&self.pool).await.map_err(PingError::Postgres)
                }
            }
            BackingService::KAFKA => self.kafka.ping(KAFKA_ANSWER_WITHIN).await.map_err(PingError::Kafka),
            BackingService::CLICKHOUSE => {
                self.read_models.current().analytics.ping().await.map_err(PingError::ReadModel)
            }
            BackingService::QDRANT => self.read_models.current().search.ping().await.map_err(PingError::ReadModel),
            BackingService::REDIS => {
                self.read_models.current().opportunity_views.ping().await.map_err(PingError::ReadModel)
            }
            BackingService::REGISTRY => self.registry_client.ping().await.map_err(PingError::Registry),
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

/// Returns whether `medhub migrate` of this release has prepared the database.
///
/// # Errors
/// [`sqlx::Error`] when Postgres or the connection fails.
pub async fn is_migrated(pool: &PgPool) -> Result<bool, sqlx::Error> {
    eventstore::schema_migration::is_migrated(pool).await
}
