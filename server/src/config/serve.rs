//! Timeouts of the startup and shutdown of a service, and of its workers.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__SERVE__STARTUP_TIMEOUT_MS` | `60000` | how long to wait at startup for engines that do not answer yet |
//! | `MEDHUB__SERVE__SHUTDOWN_TIMEOUT_MS` | `10000` | how long to wait at shutdown: half of it for requests, a quarter for the relay, a quarter for batches of the workers. Acknowledged events have `MEDHUB__INGEST__DRAIN_TIMEOUT_MS` at the same time as the requests, so that a shutdown may take longer |
//! | `MEDHUB__SERVE__STOP_DELAY_MS` | `0` | how long a process that was told to stop goes on as before, except that `/ready` answers 503, so that whatever distributes requests by it sends them elsewhere. Not part of the shutdown timeout |
//! | `MEDHUB__SERVE__STUCK_AFTER_MS` | `60000` | after how long `/ready` reports a worker that has work and makes no progress |

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Settings of a running service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// How long to wait at startup for engines that do not answer yet, in milliseconds.
    pub startup_timeout_ms: u64,
    /// How long to wait at shutdown for work in progress, in milliseconds.
    pub shutdown_timeout_ms: u64,
    /// How long requests are accepted after a signal, while the process reports that it is not ready, in milliseconds.
    pub stop_delay_ms: u64,
    /// How long a worker may make no progress although it has work, in milliseconds.
    pub stuck_after_ms: u64,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self { startup_timeout_ms: 60_000, shutdown_timeout_ms: 10_000, stop_delay_ms: 0, stuck_after_ms: 60_000 }
    }
}

impl ServeConfig {
    /// How long to wait at startup for engines that do not answer yet.
    pub fn startup_timeout(&self) -> Duration {
        Duration::from_millis(self.startup_timeout_ms)
    }

    /// How long to wait at shutdown for work in progress.
    pub fn shutdown_timeout(&self) -> Duration {
        Duration::from_millis(self.shutdown_timeout_ms)
    }

    /// How long requests are accepted after a signal, while the process reports that it is not ready.
    pub fn stop_delay(&self) -> Duration {
        Duration::from_millis(self.stop_delay_ms)
    }

    /// How long a worker may make no progress although it has work.
    pub fn stuck_after(&self) -> Duration {
        Duration::from_millis(self.stuck_after_ms)
    }
}
