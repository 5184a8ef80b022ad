//! All settings, composed of each crate's own section.
//!
//! A later source wins over an earlier one: defaults in code, the TOML file, `MEDHUB__SECTION__KEY`, and the engines'
//! well-known URL variables of [`WELL_KNOWN_VARIABLES`]. Each section's file is the table of its keys.

mod admin;
mod auth;
mod environment;
mod error;
mod http;
mod logging;
mod rate_limits;
mod secret;
mod serve;

use std::path::{Path, PathBuf};

use collaboration::CollaborationConfig;
use eventstore::{postgres::PostgresConfig, relay::RelayConfig, topic::KafkaConfig};
use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use projections::{
    opportunity_analytics::AnalyticsConfig,
    opportunity_search::{EmbeddingConfig, SearchConfig},
    opportunity_views::RedisConfig,
    runtime::ConsumerConfig as WorkerConfig,
};
use schemas::registry_client::RegistryConfig;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::{grpc::GrpcConfig, object_store::ObjectsConfig, rest::IngestConfig};

pub use self::{
    admin::{AdminConfig, AdminToken, TokenTooShort},
    auth::{AuthConfig, AuthSecret, SecretTooShort},
    error::ConfigError,
    http::HttpConfig,
    logging::{LoggingConfig, LoggingFormat},
    rate_limits::RateLimitConfig,
    secret::mask_url,
    serve::ServeConfig,
};

/// Variables that the engines' own tools know, and the settings they stand for.
pub const WELL_KNOWN_VARIABLES: [(&str, &str); 6] = [
    ("DATABASE_URL", "postgres.url"),
    ("KAFKA_BROKERS", "kafka.brokers"),
    ("CLICKHOUSE_URL", "clickhouse.url"),
    ("QDRANT_URL", "qdrant.url"),
    ("REDIS_URL", "redis.url"),
    ("SCHEMA_REGISTRY_URL", "registry.url"),
];

/// Names the settings file where the command line does not.
const FILE_VARIABLE: &str = "MEDHUB_CONFIG";

/// What the workers take from the section `kafka` unless they are told otherwise, so that it is set once.
const SHARED_WITH_WORKERS: [&str; 3] = ["brokers", "topic_prefix", "partitions"];

/// All settings.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MedhubConfig {
    /// The HTTP edge.
    pub http: HttpConfig,
    /// Who may operate the service over its API. It is a secret, so that it is not written with the rest.
    #[serde(skip_serializing)]
    pub admin: AdminConfig,
    /// How people and machines say who they are. It holds a secret, so that it is not written with the rest.
    #[serde(skip_serializing)]
    pub auth: AuthConfig,
    /// How often somebody may ask.
    pub limits: RateLimitConfig,
    /// Where gRPC listens.
    pub grpc: GrpcConfig,
    /// How views and clicks are taken in.
    pub ingest: IngestConfig,
    /// How proposals are written together.
    pub collaboration: CollaborationConfig,
    /// Where files are held.
    pub objects: ObjectsConfig,
    /// Start and end of a service.
    pub serve: ServeConfig,
    /// The log of the program.
    pub log: LoggingConfig,
    /// The log of events. Its URL is a secret, so that it is not written with the rest.
    #[serde(skip_serializing)]
    pub postgres: PostgresConfig,
    /// The topics that carry the events.
    pub kafka: KafkaConfig,
    /// The relay from the one to the other.
    pub relay: RelayConfig,
    /// The registry of the events' schemas.
    pub registry: RegistryConfig,
    /// The workers that read the topics.
    pub worker: WorkerConfig,
    /// The store of figures and lists.
    pub clickhouse: AnalyticsConfig,
    /// The store of meanings.
    pub qdrant: SearchConfig,
    /// The model that tells meanings.
    pub embedding: EmbeddingConfig,
    /// The store of detail views.
    pub redis: RedisConfig,
    /// Every setting as it was merged, for showing.
    #[serde(skip)]
    merged: Dict,
}

impl MedhubConfig {
    /// Merges all sources. `file` wins over the file that `MEDHUB_CONFIG` names.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file that cannot be read, or the key that is unknown or has an unusable value.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let named = environment.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        let file = file.map(Path::to_owned).or_else(|| named.map(|(_, path)| PathBuf::from(path)));

        let mut settings = Figment::from(Serialized::defaults(default_settings()?));
        if let Some(path) = file {
            std::fs::File::open(&path).map_err(|source| ConfigError::File { path: path.clone(), source })?;
            settings = settings.merge(Toml::file_exact(path));
        }
        for variable in environment::collect_variables(environment, &WELL_KNOWN_VARIABLES) {
            settings = settings.merge(variable);
        }
        for key in SHARED_WITH_WORKERS {
            if let Ok(shared) = settings.find_value(&format!("kafka.{key}")) {
                settings = settings.join(Serialized::default(&format!("worker.{key}"), shared));
            }
        }
        let mut config: Self = settings.extract_lossy().map_err(|error| ConfigError::from_figment(error, &settings))?;
        config.merged = settings.extract().map_err(|error| ConfigError::from_figment(error, &settings))?;
        Ok(config)
    }

    /// The settings in force as TOML, with secrets and passwords inside URLs hidden.
    ///
    /// # Errors
    /// [`ConfigError::Print`] when a value has no form in TOML.
    pub fn to_masked_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(&secret::mask_settings(self.merged.clone())).map_err(ConfigError::Print)
    }
}

/// Every default, without what the workers share with the section `kafka`.
fn default_settings() -> Result<Dict, ConfigError> {
    let settings = Figment::from(Serialized::defaults(MedhubConfig::default()));
    let mut defaults: Dict = settings.extract().map_err(|error| ConfigError::from_figment(error, &settings))?;
    if let Some(Value::Dict(_, worker)) = defaults.get_mut("worker") {
        worker.retain(|key, _| !SHARED_WITH_WORKERS.contains(&key.as_str()));
    }
    let postgres = PostgresConfig::default();
    let postgres = Dict::from([
        ("url".to_owned(), Value::from(postgres.url.expose_secret())),
        ("max_connections".to_owned(), Value::from(postgres.max_connections)),
        ("acquire_timeout_ms".to_owned(), Value::from(postgres.acquire_timeout_ms)),
        ("append_lanes".to_owned(), Value::from(postgres.append_lanes)),
        ("load_lanes".to_owned(), Value::from(postgres.load_lanes)),
        ("group_events".to_owned(), Value::from(postgres.group_events)),
        ("snapshot_every".to_owned(), Value::from(postgres.snapshot_every)),
    ]);
    defaults.insert("postgres".to_owned(), Value::from(postgres));
    Ok(defaults)
}

#[cfg(test)]
mod tests;
