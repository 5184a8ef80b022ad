//! TLS and credentials of the connections to engines: the settings, their problems, and their form for each client.
//! Also recognises a pooler that refuses the settings of a session.
//!
//! Nothing here connects. Certificates are verified by rustls, with the primitives of aws-lc, or by the client library of
//! Kafka, with OpenSSL (ADR 57).

mod engine_secret;
mod kafka_oauth;
mod kafka_security;
mod postgres_url;
mod session_settings;
mod tls_config;

pub use self::{
    engine_secret::EngineSecret,
    kafka_oauth::KafkaOauthConfig,
    kafka_security::{KafkaSaslConfig, KafkaSecurity, KafkaSecurityProtocol, SaslMechanism},
    postgres_url::{PostgresTlsVariables, find_postgres_url_problems},
    session_settings::refuses_session_settings,
    tls_config::{EngineTlsConfig, TlsFileError, TlsIdentity, has_scheme, install_crypto_provider},
};

/// The environment variable of a setting, e.g. `MEDHUB__KAFKA__SASL__USERNAME` of `kafka.sasl.username`.
pub fn setting_variable(setting: &str) -> String {
    format!("MEDHUB__{}", setting.replace('.', "__").to_ascii_uppercase())
}
