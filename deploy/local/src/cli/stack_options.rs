//! Flags and environment variables that configure a stack.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};

use super::FolderOptions;
use crate::{
    artifact::ArtifactCache,
    engine::{EngineKind, EngineSettings},
    service_port::ServicePort,
    supervised_stack::StackConfig,
};

/// Whether programs that are installed on this machine may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SystemPackageUse {
    On,
    Off,
}

/// Configuration of the stack to run.
#[derive(Debug, Clone, Args)]
pub(super) struct StackOptions {
    /// Whether to use engines that are installed on this machine (`off`: only those of package registries).
    #[arg(long, env = "MEDHUB_LOCAL_SYSTEM", value_enum, default_value = "on", value_name = "ON|OFF")]
    system: SystemPackageUse,
    #[command(flatten)]
    ports: PortOptions,
    #[command(flatten)]
    urls: UrlOptions,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ports [default: the first free one from 5433, 6380, 9093, 8124, 6335, 8082, 8080 on]")]
struct PortOptions {
    /// Port of the local Postgres.
    #[arg(id = "port-postgres", long = "port-postgres", env = "MEDHUB_LOCAL_PORT_POSTGRES", value_name = "PORT")]
    postgres: Option<u16>,
    /// Port of the local Redis.
    #[arg(id = "port-redis", long = "port-redis", env = "MEDHUB_LOCAL_PORT_REDIS", value_name = "PORT")]
    redis: Option<u16>,
    /// Port of the local Kafka.
    #[arg(id = "port-kafka", long = "port-kafka", env = "MEDHUB_LOCAL_PORT_KAFKA", value_name = "PORT")]
    kafka: Option<u16>,
    /// Port of the local ClickHouse (HTTP).
    #[arg(id = "port-clickhouse", long = "port-clickhouse", env = "MEDHUB_LOCAL_PORT_CLICKHOUSE", value_name = "PORT")]
    clickhouse: Option<u16>,
    /// Port of the local Qdrant (gRPC).
    #[arg(id = "port-qdrant", long = "port-qdrant", env = "MEDHUB_LOCAL_PORT_QDRANT", value_name = "PORT")]
    qdrant: Option<u16>,
    /// Port of the local schema registry (HTTP).
    #[arg(id = "port-registry", long = "port-registry", env = "MEDHUB_LOCAL_PORT_REGISTRY", value_name = "PORT")]
    registry: Option<u16>,
    /// Port of the product (HTTP).
    #[arg(id = "port-http", long = "port-http", env = "MEDHUB_LOCAL_PORT_HTTP", value_name = "PORT")]
    http: Option<u16>,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Engines that run elsewhere")]
struct UrlOptions {
    /// Use this Postgres instead of a local one.
    #[arg(
        id = "database-url",
        long = "database-url",
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    postgres: Option<String>,
    /// Use this Redis instead of a local one.
    #[arg(id = "redis-url", long = "redis-url", env = "REDIS_URL", value_name = "URL", hide_env_values = true)]
    redis: Option<String>,
    /// Use this Kafka instead of a local one.
    #[arg(
        id = "kafka-brokers",
        long = "kafka-brokers",
        env = "KAFKA_BROKERS",
        value_name = "HOST:PORT,..",
        hide_env_values = true
    )]
    kafka: Option<String>,
    /// Use this ClickHouse (HTTP) instead of a local one.
    #[arg(
        id = "clickhouse-url",
        long = "clickhouse-url",
        env = "CLICKHOUSE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    clickhouse: Option<String>,
    /// Use this Qdrant (gRPC) instead of a local one.
    #[arg(id = "qdrant-url", long = "qdrant-url", env = "QDRANT_URL", value_name = "URL", hide_env_values = true)]
    qdrant: Option<String>,
    /// Use this schema registry instead of a local one.
    #[arg(
        id = "schema-registry-url",
        long = "schema-registry-url",
        env = "SCHEMA_REGISTRY_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    registry: Option<String>,
}

impl StackOptions {
    /// The configuration that these options give, for a stack with or without the product.
    pub(super) fn into_stack_config(self, folders: &FolderOptions, product: bool) -> anyhow::Result<StackConfig> {
        let cache = ArtifactCache { folder: folders.cache_folder()?, use_system: self.system == SystemPackageUse::On };
        let settings = EngineSettings { cache, data_folder: folders.data_folder()?, is_temporary: false };
        let engines = EngineKind::ALL.to_vec();
        Ok(StackConfig { settings, engines, urls: self.urls.into_map(), ports: self.ports.into_map(), product })
    }
}

impl PortOptions {
    fn into_map(self) -> BTreeMap<ServicePort, u16> {
        let all = [
            (ServicePort::Postgres, self.postgres),
            (ServicePort::Redis, self.redis),
            (ServicePort::Kafka, self.kafka),
            (ServicePort::ClickHouse, self.clickhouse),
            (ServicePort::Qdrant, self.qdrant),
            (ServicePort::Registry, self.registry),
            (ServicePort::Http, self.http),
        ];
        all.into_iter().filter_map(|(port, number)| Some((port, number?))).collect()
    }
}

impl UrlOptions {
    fn into_map(self) -> BTreeMap<EngineKind, String> {
        let all = [
            (EngineKind::Postgres, self.postgres),
            (EngineKind::Redis, self.redis),
            (EngineKind::Kafka, self.kafka),
            (EngineKind::ClickHouse, self.clickhouse),
            (EngineKind::Qdrant, self.qdrant),
            (EngineKind::Registry, self.registry),
        ];
        let non_empty = |url: Option<String>| url.filter(|url| !url.is_empty());
        all.into_iter().filter_map(|(engine, url)| Some((engine, non_empty(url)?))).collect()
    }
}
