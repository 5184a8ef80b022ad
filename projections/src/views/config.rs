//! Settings of the `Redis` read model.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | `redis://127.0.0.1:6379` | may hold user, password and database |
//! | `key_prefix` | `medhub:` | what keys begin with |
//! | `timeout_ms` | 5000 | longest wait for one answer |

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::connection::WithoutPassword;

/// Where the views are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewsConfig {
    /// The server; may hold user, password and database.
    pub url: String,
    /// What keys begin with.
    pub key_prefix: String,
    /// Longest wait for one answer, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for ViewsConfig {
    fn default() -> Self {
        Self { url: "redis://127.0.0.1:6379".to_owned(), key_prefix: "medhub:".to_owned(), timeout_ms: 5_000 }
    }
}

impl ViewsConfig {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

impl fmt::Debug for ViewsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewsConfig")
            .field("url", &WithoutPassword(&self.url))
            .field("key_prefix", &self.key_prefix)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}
