//! The list of the engines: external servers that the product needs. The product and the local stack read it.

use serde::{Deserialize, Serialize};

/// An engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Postgres: the event store and lists.
    Postgres,
    /// The schema registry: the Avro schemas of the events.
    Registry,
    /// Kafka: the published events, which projections read.
    Kafka,
    /// ClickHouse: analytics.
    ClickHouse,
    /// Qdrant: search.
    Qdrant,
    /// Redis: detail views, tenant views, the change feed and caches.
    Redis,
}

impl EngineKind {
    /// All engines, in the order that an event passes through them.
    pub const ALL: [Self; 6] =
        [Self::Postgres, Self::Registry, Self::Kafka, Self::ClickHouse, Self::Qdrant, Self::Redis];

    /// The name in commands, JSON and file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Registry => "registry",
            Self::Kafka => "kafka",
            Self::ClickHouse => "clickhouse",
            Self::Qdrant => "qdrant",
            Self::Redis => "redis",
        }
    }

    /// The name as people write it.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::Postgres => "Postgres",
            Self::Registry => "Registry",
            Self::Kafka => "Kafka",
            Self::ClickHouse => "ClickHouse",
            Self::Qdrant => "Qdrant",
            Self::Redis => "Redis",
        }
    }

    /// The environment variable with the engine's address.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "DATABASE_URL",
            Self::Registry => "SCHEMA_REGISTRY_URL",
            Self::Kafka => "KAFKA_BROKERS",
            Self::ClickHouse => "CLICKHOUSE_URL",
            Self::Qdrant => "QDRANT_URL",
            Self::Redis => "REDIS_URL",
        }
    }

    /// The product's setting with the engine's address.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Postgres => "postgres.url",
            Self::Registry => "registry.url",
            Self::Kafka => "kafka.brokers",
            Self::ClickHouse => "clickhouse.url",
            Self::Qdrant => "qdrant.url",
            Self::Redis => "redis.url",
        }
    }

    /// The engine that stores this one's data. It starts first, and its address is passed to this one.
    pub fn storing_engine(self) -> Option<Self> {
        match self {
            Self::Registry => Some(Self::Postgres),
            Self::Postgres | Self::Redis | Self::Kafka | Self::ClickHouse | Self::Qdrant => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_engine_is_listed_once_with_names_of_its_own() {
        let addresses = EngineKind::ALL.iter().map(|engine| (engine.variable(), engine.setting()));
        let (variables, settings): (BTreeSet<_>, BTreeSet<_>) = addresses.unzip();
        assert_eq!((variables.len(), settings.len()), (EngineKind::ALL.len(), EngineKind::ALL.len()));
        for engine in EngineKind::ALL {
            assert_eq!(engine.display_name().to_lowercase(), engine.name());
        }
    }
}
