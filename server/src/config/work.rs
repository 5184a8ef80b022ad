//! Work on tasks in this program.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__WORK__EXTRACT_TEXT` | `2` | files whose text is extracted at the same time, each by a child process; with `0` this program leaves such tasks to others, e.g. to workers that use gRPC |
//! | `MEDHUB__WORK__EXTRACT_REQUIREMENTS` | `2` | texts in which requirements are looked for at the same time, or `0` |
//! | `MEDHUB__WORK__ANALYSE_DOCUMENT` | `2` | documents that are analysed at the same time, or `0`; reads the resources of companies from Redis, and scores the fit without them if Redis stays away |
//! | `MEDHUB__WORK__GENERATE_PROPOSAL` | `2` | proposals that are generated at the same time, or `0`; each waits most of its time for a provider. Needs Qdrant, Redis and the embedding model; set it to `0` for a worker of documents without them |
//! | `MEDHUB__WORK__LEASE_MS` | `30000` | how long the tasks of a worker that died wait for another one |
//! | `MEDHUB__WORK__POLL_INTERVAL_MS` | `500` | how often an idle worker looks for tasks that other programs have added |
//! | `MEDHUB__WORK__DRAIN_TIMEOUT_MS` | `8000` | how long a shutdown waits for tasks in progress; other workers take over those that are not finished when their leases end |

use std::time::Duration;

use document_analysis::HandlerConcurrency;
use serde::{Deserialize, Serialize};
use task_workers::WorkerPoolConfig;

/// Shortest lease and poll interval.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// Settings of the work on tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkConfig {
    /// Files whose text is extracted at the same time.
    pub extract_text: usize,
    /// Number of texts that are searched for requirements at the same time.
    pub extract_requirements: usize,
    /// Documents that are analysed at the same time.
    pub analyse_document: usize,
    /// Proposals that are generated at the same time.
    pub generate_proposal: usize,
    /// How long the tasks of a worker that died wait, in milliseconds.
    pub lease_ms: u64,
    /// How often an idle worker looks for tasks, in milliseconds.
    pub poll_interval_ms: u64,
    /// How long a shutdown waits for tasks in progress, in milliseconds.
    pub drain_timeout_ms: u64,
}

impl Default for WorkConfig {
    fn default() -> Self {
        Self {
            extract_text: 2,
            extract_requirements: 2,
            analyse_document: 2,
            generate_proposal: 2,
            lease_ms: 30_000,
            poll_interval_ms: 500,
            drain_timeout_ms: 8_000,
        }
    }
}

impl WorkConfig {
    /// How many tasks of each kind are worked on at the same time.
    pub fn concurrency(&self) -> HandlerConcurrency {
        HandlerConcurrency {
            extract_text: self.extract_text,
            extract_requirements: self.extract_requirements,
            analyse_document: self.analyse_document,
        }
    }

    /// The settings of the pool of workers.
    pub fn pool(&self) -> WorkerPoolConfig {
        WorkerPoolConfig {
            lease: Duration::from_millis(self.lease_ms).max(SHORTEST_INTERVAL),
            poll_interval: Duration::from_millis(self.poll_interval_ms).max(SHORTEST_INTERVAL),
        }
    }

    /// How long a shutdown waits for tasks in progress.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}
