//! Settings of engines that cannot be reached.

use crate::config::EngineConfig;

/// Returns addresses where no engine listens.
pub(super) fn unreachable_engines() -> EngineConfig {
    let mut engines = EngineConfig::default();
    engines.postgres.url = "postgres://127.0.0.1:1/medhub".into();
    engines.kafka.brokers = "127.0.0.1:1".into();
    engines.worker.brokers = "127.0.0.1:1".into();
    engines.clickhouse.url = "http://127.0.0.1:1".into();
    engines.qdrant.url = "http://127.0.0.1:1".into();
    engines.redis.url = "redis://127.0.0.1:1".into();
    engines.registry.url = "http://127.0.0.1:1".into();
    engines
}
