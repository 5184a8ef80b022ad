//! The sections of the engines and of what runs on them, together.

use collaboration::CollaborationConfig;
use commands::feature_flags::FlagPins;
use eventstore::{postgres::PostgresConfig, relay::RelayConfig, topic::KafkaConfig};
use objects::ObjectsConfig;
use projections::{
    opportunity_search::EmbeddingConfig,
    runtime::ConsumerConfig as WorkerConfig,
    storage::{clickhouse::ClickHouseConfig, qdrant::QdrantConfig, redis::RedisConfig},
};
use proposal_generation::ProposalGenerationConfig;
use schemas::registry_client::RegistryConfig;

/// Settings of all engines. Contains secrets, so it is neither serialized nor printed.
#[derive(Clone, Default)]
pub struct EngineConfig {
    /// Postgres, which holds the event store.
    pub postgres: PostgresConfig,
    /// Kafka topics of the events.
    pub kafka: KafkaConfig,
    /// Relay from the event store to Kafka.
    pub relay: RelayConfig,
    /// Schema registry.
    pub registry: RegistryConfig,
    /// Workers, which consume the topics.
    pub worker: WorkerConfig,
    /// ClickHouse.
    pub clickhouse: ClickHouseConfig,
    /// Qdrant.
    pub qdrant: QdrantConfig,
    /// Embedding model of the semantic search.
    pub embedding: EmbeddingConfig,
    /// Redis.
    pub redis: RedisConfig,
    /// Object store, which holds the files of documents.
    pub objects: ObjectsConfig,
    /// Shared editing of proposals.
    pub collaboration: CollaborationConfig,
    /// Variants of feature flags in this program, whatever the log says.
    pub flags: FlagPins,
    /// Generation of proposals.
    pub proposal_generation: ProposalGenerationConfig,
}
