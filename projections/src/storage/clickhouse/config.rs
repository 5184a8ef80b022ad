//! Settings of the `ClickHouse` read model.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | `http://127.0.0.1:8123` | HTTP interface; may contain `user:password@` |
//! | `tls` | the system's authorities | see `engine_security::EngineTlsConfig`; for a URL that begins with `https://` |
//! | `database` | `medhub` | database that analysts query; each generation has a database of its own, such as `medhub_g1` |
//! | `raw_ttl_days` | 90 | how long events and engagement are kept; 0 keeps them for ever |
//! | `minute_ttl_days` | 30 | how long figures by minute are kept; 0 keeps them for ever |
//! | `hour_ttl_days` | 365 | how long figures by hour are kept; 0 keeps them for ever |
//! | `timeout_ms` | 30000 | longest wait for one statement |

use std::{fmt, time::Duration};

use engine_security::EngineTlsConfig;
use serde::{Deserialize, Serialize};

use crate::{runtime::ReadModelGeneration, storage::RedactedUrl};

/// Address and retention of the `ClickHouse` read model.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClickHouseConfig {
    /// The HTTP interface; may contain `user:password@`.
    pub url: String,
    /// Authorities and the client's certificate, for a URL that begins with `https://`.
    pub tls: EngineTlsConfig,
    /// The database that analysts query; those of the generations have the same name with `_g1` and so on.
    pub database: String,
    /// Days that events and engagement are kept, by the time they were recorded; 0 keeps them for ever.
    pub raw_ttl_days: u32,
    /// Days that figures by minute are kept; 0 keeps them for ever.
    pub minute_ttl_days: u32,
    /// Days that figures by hour are kept; 0 keeps them for ever.
    pub hour_ttl_days: u32,
    /// Longest wait for one statement, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for ClickHouseConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".to_owned(),
            tls: EngineTlsConfig::default(),
            database: "medhub".to_owned(),
            raw_ttl_days: 90,
            minute_ttl_days: 30,
            hour_ttl_days: 365,
            timeout_ms: 30_000,
        }
    }
}

impl ClickHouseConfig {
    /// The name of a generation's database.
    pub(crate) fn database_name(&self, generation: ReadModelGeneration) -> String {
        format!("{}_{generation}", self.database)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for ClickHouseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClickHouseConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("tls", &self.tls)
            .field("database", &self.database)
            .field("raw_ttl_days", &self.raw_ttl_days)
            .field("minute_ttl_days", &self.minute_ttl_days)
            .field("hour_ttl_days", &self.hour_ttl_days)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}
