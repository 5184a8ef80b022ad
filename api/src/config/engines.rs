//! The sections of the engines and of what runs on them, together.

use collaboration::CollaborationConfig;
use commands::feature_flags::FlagPins;
use eventstore::{postgres::PostgresConfig, relay::RelayConfig, topic::KafkaConfig};
use objects::ObjectsConfig;
use projections::{
    opportunity_search::EmbeddingConfig,
    read_models::StorageSettings,
    runtime::ConsumerConfig as WorkerConfig,
    storage::{clickhouse::ClickHouseConfig, postgres::ListsConfig, qdrant::QdrantConfig, redis::RedisConfig},
};
use proposal_generation::ProposalGenerationConfig;
use schemas::registry_client::RegistryConfig;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

/// Settings of all engines. Each field is a section of the configuration; unknown sections belong to the program.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineConfig {
    /// Postgres, which holds the event store. Its URL is a secret, so it is not serialized.
    #[serde(skip_serializing)]
    pub postgres: PostgresConfig,
    /// Kafka topics of the events.
    pub kafka: KafkaConfig,
    /// Relay from the event store to Kafka.
    pub relay: RelayConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// Workers, which consume the topics.
    pub worker: WorkerConfig,
    /// ClickHouse: read model of analysts.
    pub clickhouse: ClickHouseConfig,
    /// Qdrant: read model of the semantic search.
    pub qdrant: QdrantConfig,
    /// Embedding model of the semantic search.
    pub embedding: EmbeddingConfig,
    /// Redis: read models of detail views.
    pub redis: RedisConfig,
    /// Postgres: read model of lists.
    pub lists: ListsConfig,
    /// Object store, which holds the files of documents.
    pub objects: ObjectsConfig,
    /// Shared editing of proposals.
    pub collaboration: CollaborationConfig,
    /// Variants of feature flags in this program; they override the log.
    pub flags: FlagPins,
    /// Generation of proposals.
    pub proposal_generation: ProposalGenerationConfig,
}

impl EngineConfig {
    /// Settings of the storages of read models.
    pub fn storages(&self) -> StorageSettings<'_> {
        StorageSettings {
            clickhouse: &self.clickhouse,
            qdrant: &self.qdrant,
            redis: &self.redis,
            lists: &self.lists,
            event_store_url: self.postgres.url.expose_secret(),
        }
    }
}
