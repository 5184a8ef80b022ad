//! The configuration, composed of the sections of all crates.
//!
//! A later source overrides an earlier one: defaults in code, the TOML file, `MEDHUB__SECTION__KEY`, and the engines'
//! well-known URL variables of [`EngineKind::variable`]. The module of each section has a table of its keys.

mod environment;
mod error;
mod field_names;
mod jobs;
mod logging;
mod masked_settings;
mod serve;
mod work;

pub(crate) use self::environment::read_environment_variable;
use self::field_names::list_field_names;

use std::path::{Path, PathBuf};

use documents::ExtractionConfig;
use engine_kinds::EngineKind;
use engine_security::PostgresTlsVariables;
use eventstore::postgres::PostgresConfig;
use figment::{
    Figment,
    providers::{Format, Serialized, Toml},
    value::{Dict, Value},
};
use language_models::LanguageModelConfig;
use mail::MailConfig;
use sam_gov::SamGovConfig;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use telemetry::TelemetryConfig;

use api::{
    config::{AdminConfig, AuthConfig, EngineConfig, HttpConfig, RateLimitConfig},
    grpc::GrpcConfig,
    rest::IngestConfig,
};

pub use self::{
    error::ConfigError,
    jobs::JobsConfig,
    logging::{LoggingConfig, LoggingFormat},
    serve::ServeConfig,
    work::WorkConfig,
};

/// Environment variables of the object store's own tools, and the settings that they override.
const OBJECT_STORE_VARIABLES: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "objects.s3.access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "objects.s3.secret_access_key"),
    ("AWS_SESSION_TOKEN", "objects.s3.session_token"),
];

/// The environment variable that names the configuration file; the command line overrides it.
const FILE_VARIABLE: &str = "MEDHUB_CONFIG";

/// Keys that workers take from the section `kafka` unless they are set in `worker`.
const SHARED_WITH_WORKERS: [&str; 6] = ["brokers", "topic_prefix", "partitions", "security_protocol", "sasl", "tls"];

/// The whole configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MedhubConfig {
    /// Engines, and what runs on them: further sections on the same level.
    #[serde(skip)]
    pub engines: EngineConfig,
    /// HTTP edge.
    pub http: HttpConfig,
    /// Operators' access over the API. Contains a secret, so it is not serialized.
    #[serde(skip_serializing)]
    pub admin: AdminConfig,
    /// Authentication. Contains a secret, so it is not serialized.
    #[serde(skip_serializing)]
    pub auth: AuthConfig,
    /// Rate limits.
    pub limits: RateLimitConfig,
    /// gRPC edge.
    pub grpc: GrpcConfig,
    /// Ingest of views and clicks.
    pub ingest: IngestConfig,
    /// Synchronisation with SAM.gov.
    pub sam_gov: SamGovConfig,
    /// Mail to users.
    pub mail: MailConfig,
    /// Scheduled jobs.
    pub jobs: JobsConfig,
    /// Extraction of text from the files of documents.
    pub extraction: ExtractionConfig,
    /// Work on tasks in this program.
    pub work: WorkConfig,
    /// Providers of generated texts. Their keys are in separate environment variables.
    pub language_models: LanguageModelConfig,
    /// Startup and shutdown of a service.
    pub serve: ServeConfig,
    /// Logging.
    pub log: LoggingConfig,
    /// Export of traces, metrics and logs.
    pub telemetry: TelemetryConfig,
    /// All merged settings, for [`Self::to_masked_toml`].
    #[serde(skip)]
    merged: Dict,
}

impl MedhubConfig {
    /// Merges all sources. `file` overrides the file that `MEDHUB_CONFIG` names.
    ///
    /// # Errors
    /// [`ConfigError`] with the file that cannot be read, or the keys that are unknown or have invalid values.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let environment: Vec<_> = environment.into_iter().collect();
        let postgres_variables = PostgresTlsVariables::from_environment(&environment);
        let file_variable = environment.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        let file = file.map(Path::to_owned).or_else(|| file_variable.map(|(_, path)| PathBuf::from(path)));

        let mut settings = Figment::from(Serialized::defaults(default_settings()?));
        if let Some(path) = file {
            std::fs::File::open(&path).map_err(|source| ConfigError::File { path: path.clone(), source })?;
            settings = settings.merge(Toml::file_exact(path));
        }
        for variable in environment::collect_variables(environment, &well_known_variables()) {
            settings = settings.merge(variable);
        }
        for key in SHARED_WITH_WORKERS {
            if let Ok(shared) = settings.find_value(&format!("kafka.{key}")) {
                settings = settings.join(Serialized::default(&format!("worker.{key}"), shared));
            }
        }
        let to_error = |error| ConfigError::from_figment(error, &settings);
        let merged: Dict = settings.extract().map_err(to_error)?;
        let sections = [list_field_names::<Self>(), list_field_names::<EngineConfig>()].concat();
        if let Some(unknown) = merged.keys().find(|section| !sections.contains(&section.as_str())) {
            return Err(ConfigError::unknown_setting(unknown, &sections, &settings));
        }
        let engines: EngineConfig = settings.extract_lossy().map_err(to_error)?;
        let config = Self { engines, merged, ..settings.extract_lossy().map_err(to_error)? };
        let connections = config.engines.find_connection_problems(&postgres_variables);
        let problems = [connections, config.http.tls.find_problems()].concat();
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid { problems }) }
    }

    /// Formats the merged settings as TOML, with secrets and passwords in URLs masked.
    ///
    /// # Errors
    /// [`ConfigError::Print`] when a value cannot be represented in TOML.
    pub fn to_masked_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(&masked_settings::mask_settings(self.merged.clone())).map_err(ConfigError::Print)
    }
}

/// Environment variables that the engines' own tools and OpenTelemetry use, and the settings that they override.
fn well_known_variables() -> Vec<(&'static str, &'static str)> {
    let of_engines = EngineKind::ALL.into_iter().map(|engine| (engine.variable(), engine.setting()));
    of_engines.chain(OBJECT_STORE_VARIABLES).chain(TelemetryConfig::well_known_variables()).collect()
}

/// Returns all defaults but those that workers take from the section `kafka`.
fn default_settings() -> Result<Dict, ConfigError> {
    let settings = Figment::from(Serialized::defaults(MedhubConfig::default()))
        .merge(Serialized::defaults(EngineConfig::default()));
    let mut defaults: Dict = settings.extract().map_err(|error| ConfigError::from_figment(error, &settings))?;
    if let Some(Value::Dict(_, worker)) = defaults.get_mut("worker") {
        worker.retain(|key, _| !SHARED_WITH_WORKERS.contains(&key.as_str()));
    }
    let postgres = PostgresConfig::default();
    let postgres = Dict::from([
        ("url".to_owned(), Value::from(postgres.url.expose_secret())),
        ("max_connections".to_owned(), Value::from(postgres.max_connections)),
        ("acquire_timeout_ms".to_owned(), Value::from(postgres.acquire_timeout_ms)),
        ("statement_timeout_ms".to_owned(), Value::from(postgres.statement_timeout_ms)),
        ("operator_statement_timeout_ms".to_owned(), Value::from(postgres.operator_statement_timeout_ms)),
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
