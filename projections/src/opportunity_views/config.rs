//! Settings of the `Redis` read model.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | `redis://127.0.0.1:6379` | may hold user, password and database |
//! | `key_prefix` | `medhub:` | what keys begin with |
//! | `timeout_ms` | 5000 | longest wait for one answer |
//! | `cache_mb` | 32 | memory for states written last, so that they are not read back; 0 keeps none |
//! | `leaderboard_days` | 30 | how long a day's leaderboards are kept after it |
//! | `visit_days` | 90 | how long a visit's place in its stream is remembered after its last event |

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::redacted_url::RedactedUrl;

/// Where the views are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// The server; may hold user, password and database.
    pub url: String,
    /// What keys begin with.
    pub key_prefix: String,
    /// Longest wait for one answer, in milliseconds.
    pub timeout_ms: u64,
    /// Memory for the states that were written last, in mebibytes; each build of the read model has its own.
    pub cache_mb: u32,
    /// How many days a day's leaderboards are kept after it.
    pub leaderboard_days: u16,
    /// How many days a visit's place in its stream is remembered after its last event. It tells a repeated event from a
    /// new one, and brokers repeat what was not committed, which is minutes old, or what they still keep, which is days
    /// old. A visit that goes on after that long is parked rather than counted on a guess.
    pub visit_days: u16,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            key_prefix: "medhub:".to_owned(),
            timeout_ms: 5_000,
            cache_mb: 32,
            leaderboard_days: 30,
            visit_days: 90,
        }
    }
}

impl RedisConfig {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewsConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("key_prefix", &self.key_prefix)
            .field("timeout_ms", &self.timeout_ms)
            .field("cache_mb", &self.cache_mb)
            .field("leaderboard_days", &self.leaderboard_days)
            .field("visit_days", &self.visit_days)
            .finish()
    }
}
