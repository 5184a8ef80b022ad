//! Settings of the `Redis` read models.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | `redis://127.0.0.1:6379` | server; may contain user, password and database; `rediss://` is with TLS; of a cluster, further nodes (`host:port`) may follow after commas |
//! | `cluster` | false | whether the server is a node of a `Redis` Cluster, whose other nodes have to be asked, too |
//! | `acknowledging_replicas` | 0 | replicas of each server that have to have a write of a read model before it counts: a server that fails over may lose what no replica has |
//! | `tls` | the system's authorities | see `engine_security::EngineTlsConfig`; for a URL that begins with `rediss://` |
//! | `key_prefix` | `medhub:` | prefix of all keys |
//! | `timeout_ms` | 5000 | longest wait for one response |
//! | `cache_mb` | 32 | memory for the states that were written last, in mebibytes; 0 disables the cache |
//! | `leaderboard_days` | 30 | days that daily leaderboards are kept after their day |
//! | `visit_days` | 90 | days that a visit's version is kept after its last event |

use std::{fmt, time::Duration};

use engine_security::EngineTlsConfig;
use redis::{Client, RedisResult};
use redis_connections::{RedisEndpoint, ReplicaAcknowledgement, check_address};
use serde::{Deserialize, Serialize};

use crate::storage::RedactedUrl;

/// Address, cache and retention of the `Redis` read models.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// The server; may contain user, password and database.
    pub url: String,
    /// Whether the server is a node of a `Redis` Cluster, whose other nodes have to be asked, too.
    pub cluster: bool,
    /// Replicas of each server that have to have a write of a read model before it counts.
    pub acknowledging_replicas: u32,
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
            cluster: false,
            acknowledging_replicas: 0,
            tls: EngineTlsConfig::default(),
            key_prefix: "medhub:".to_owned(),
            timeout_ms: 5_000,
            cache_mb: 32,
            leaderboard_days: 30,
            visit_days: 90,
        }
    }
}

impl RedisConfig {
    /// The server or the cluster, which every connection of the product to `Redis` goes to.
    ///
    /// # Errors
    /// [`redis::RedisError`] when the URL is invalid or a file of `tls` cannot be used.
    pub fn endpoint(&self) -> RedisResult<RedisEndpoint> {
        RedisEndpoint::open(&self.url, self.cluster, &self.tls)
    }

    /// A client of the server, or of the first node of a cluster, for programs that measure it.
    ///
    /// # Errors
    /// As [`Self::endpoint`].
    pub fn open_client(&self) -> RedisResult<Client> {
        self.endpoint()?.first_client()
    }

    /// What is wrong with the address; `variable` has it.
    pub fn find_address_problem(&self, variable: &str) -> Option<String> {
        check_address(&self.url, self.cluster).err().map(|problem| format!("{variable}: {problem}"))
    }

    /// What replicas have to acknowledge. They have half of the time for one response, so that the answer arrives.
    pub(super) fn acknowledgement(&self) -> Option<ReplicaAcknowledgement> {
        let timeout = self.timeout() / 2;
        (self.acknowledging_replicas > 0)
            .then_some(ReplicaAcknowledgement { replicas: self.acknowledging_replicas, timeout })
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("url", &RedactedUrl(&self.url))
            .field("cluster", &self.cluster)
            .field("acknowledging_replicas", &self.acknowledging_replicas)
            .field("tls", &self.tls)
            .field("key_prefix", &self.key_prefix)
            .field("timeout_ms", &self.timeout_ms)
            .field("cache_mb", &self.cache_mb)
            .field("leaderboard_days", &self.leaderboard_days)
            .field("visit_days", &self.visit_days)
            .finish()
    }
}
