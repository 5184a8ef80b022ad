//! Settings of the `Redis` read models.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | `redis://127.0.0.1:6379` | server; may contain user, password and database; `rediss://` is with TLS |
//! | `tls` | the system's authorities | see `engine_security::EngineTlsConfig`; for a URL that begins with `rediss://` |
//! | `key_prefix` | `medhub:` | prefix of all keys |
//! | `timeout_ms` | 5000 | longest wait for one response |
//! | `cache_mb` | 32 | memory for the states that were written last, in mebibytes; 0 disables the cache |
//! | `leaderboard_days` | 30 | days that daily leaderboards are kept after their day |
//! | `visit_days` | 90 | days that a visit's version is kept after its last event |

use std::{fmt, time::Duration};

use engine_security::{EngineTlsConfig, TlsFileError, has_scheme, install_crypto_provider};
use redis::{Client, ClientTlsConfig, ErrorKind, RedisError, RedisResult, TlsCertificates};
use serde::{Deserialize, Serialize};

use crate::storage::RedactedUrl;

/// Address, cache and retention of the `Redis` read models.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// The server; may contain user, password and database.
    pub url: String,
    /// Authorities and the client's certificate, for a URL that begins with `rediss://`.
    pub tls: EngineTlsConfig,
    /// Prefix of all keys.
    pub key_prefix: String,
    /// Longest wait for one response, in milliseconds.
    pub timeout_ms: u64,
    /// Memory for the states that were written last, so that they need not be read again, in mebibytes; each generation
    /// has its own cache.
    pub cache_mb: u32,
    /// Days that daily leaderboards are kept after their day.
    pub leaderboard_days: u16,
    /// Days that a visit's version is kept after its last event. The version distinguishes repeated events from new
    /// ones: a consumer reads again records that were not committed (minutes old) or everything that the topic retains
    /// (days old). After this time, the next event of the visit begins a new state, so a repeated event would be
    /// counted again.
    pub visit_days: u16,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            tls: EngineTlsConfig::default(),
            key_prefix: "medhub:".to_owned(),
            timeout_ms: 5_000,
            cache_mb: 32,
            leaderboard_days: 30,
            visit_days: 90,
        }
    }
}

/// Scheme of a URL with TLS.
const TLS_SCHEME: &str = "rediss";

impl RedisConfig {
    /// Creates a client of the server, which every connection of the product to it comes from.
    ///
    /// # Errors
    /// [`RedisError`] when the URL is invalid or a file of `tls` cannot be used.
    pub fn open_client(&self) -> RedisResult<Client> {
        if !has_scheme(&self.url, TLS_SCHEME) {
            return Client::open(self.url.as_str());
        }
        // The client takes the provider of the process, and panics without one.
        install_crypto_provider();
        let unusable = |error: TlsFileError| {
            RedisError::from((
                ErrorKind::InvalidClientConfig,
                "the files of redis.tls",
                domain::error_chain::format_error_chain(&error),
            ))
        };
        let identity = self.tls.read_identity().map_err(unusable)?;
        let certificates = TlsCertificates {
            client_tls: identity
                .map(|identity| ClientTlsConfig { client_cert: identity.certificates, client_key: identity.key }),
            root_cert: self.tls.read_authorities().map_err(unusable)?,
        };
        Client::build_with_tls(self.url.as_str(), certificates)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("tls", &self.tls)
            .field("key_prefix", &self.key_prefix)
            .field("timeout_ms", &self.timeout_ms)
            .field("cache_mb", &self.cache_mb)
            .field("leaderboard_days", &self.leaderboard_days)
            .field("visit_days", &self.visit_days)
            .finish()
    }
}
