//! How long a service waits at its start, at its end and for its workers.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__SERVE__STARTUP_TIMEOUT_MS` | `60000` | for stores that are not up yet |
//! | `MEDHUB__SERVE__SHUTDOWN_TIMEOUT_MS` | `10000` | for requests (half of it), for what is to be published and for batches (a quarter each) that are under way; events that were acknowledged have `MEDHUB__INGEST__DRAIN_TIMEOUT_MS` beside the requests, so that a stop may take longer |
//! | `MEDHUB__SERVE__STUCK_AFTER_MS` | `60000` | for a worker that stands still with work to do, until `/ready` names it |

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of a running service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// How long to wait for stores that are not up yet, in milliseconds.
    pub startup_timeout_ms: u64,
    /// How long to wait for what is under way when told to stop, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// How long a worker may stand still while there is something to do, in milliseconds.
    pub stuck_after_ms: u64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self { startup_timeout_ms: 60_000, shutdown_timeout_ms: 10_000, stuck_after_ms: 60_000 }
    }
}

impl ServeConfig {
    /// How long to wait for stores that are not up yet.
    pub fn startup_timeout(&self) -> Duration {
        Duration::from_millis(self.startup_timeout_ms)
    }

    /// How long to wait for what is under way when told to stop.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }

    /// How long a worker may stand still while there is something to do.
    pub fn stuck_after(&self) -> Duration {
        Duration::from_millis(self.stuck_after_ms)
    }
}
