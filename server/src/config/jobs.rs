//! Settings of scheduled jobs.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__JOBS__PROCESS_RETENTION_DAYS` | `90` | how long finished instances of processes are kept, at least 7 |

use serde::{Deserialize, Serialize};

/// Shortest retention in days. Kafka may deliver an event again as long as it keeps it, and an instance that was removed
/// would not recognise the event.
const MIN_PROCESS_RETENTION_DAYS: u32 = 7;

/// Settings of scheduled jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// How long finished instances of processes are kept, in days.
    pub process_retention_days: u32,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { process_retention_days: 90 }
    }
}

impl JobsConfig {
    /// How long finished instances of processes are kept, in days.
    pub fn process_retention_days(&self) -> u32 {
        self.process_retention_days.max(MIN_PROCESS_RETENTION_DAYS)
    }
}
