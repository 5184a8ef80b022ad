//! Prometheus metrics of the workers.
//!
//! | metric | meaning |
//! | --- | --- |
//! | `medhub_projection_events_total` | events applied |
//! | `medhub_projection_parked_total` | events parked as dead letters |
//! | `medhub_projection_healed_total` | events backfilled from the log because Kafka no longer had them |
//! | `medhub_projection_retries_total` | failed attempts to apply a batch |
//! | `medhub_projection_stalled_partitions_total` | stalled partitions, for which the worker rejoined its group |
//! | `medhub_projection_lost_brokers_total` | consumers that had lost the broker while new clients found it, for which the worker rejoined its group |
//! | `medhub_projection_batch_events` | events of the last batch, without beacons |
//! | `medhub_projection_apply_seconds` | time to apply a batch |
//! | `medhub_projection_lag_seconds` | age of the newest event of the last batch when it was applied |
//! | `medhub_projection_position` | highest position applied |
//! | `medhub_projection_up` | 1 while the worker starts or runs, 0 while it retries, pauses or has stopped |
//!
//! `medhub_projection_lag_events` is measured by [`crate::runtime::Supervisor`].

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::{ReadModelGeneration, WorkerState, WorkerStatus, worker_status::BatchProgress};

/// The labels of a worker's metrics.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerLabels {
    pub(super) projection: &'static str,
    pub(super) generation: ReadModelGeneration,
}

impl WorkerLabels {
    fn to_pairs(self) -> [(&'static str, String); 2] {
        [("projection", self.projection.to_owned()), ("generation", self.generation.to_string())]
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; a batch has few events")]
pub(super) fn record_batch(label: &WorkerLabels, progress: &BatchProgress, elapsed: Duration) {
    let labels = label.to_pairs();
    counter!("medhub_projection_events_total", &labels).increment(progress.applied);
    counter!("medhub_projection_parked_total", &labels).increment(progress.parked);
    counter!("medhub_projection_healed_total", &labels).increment(progress.backfilled);
    gauge!("medhub_projection_batch_events", &labels).set((progress.applied + progress.parked) as f64);
    histogram!("medhub_projection_apply_seconds", &labels).record(elapsed);
}

pub(super) fn count_retry(label: &WorkerLabels) {
    counter!("medhub_projection_retries_total", &label.to_pairs()).increment(1);
}

pub(super) fn count_stalled_partition(label: &WorkerLabels) {
    counter!("medhub_projection_stalled_partitions_total", &label.to_pairs()).increment(1);
}

pub(super) fn count_lost_broker(label: &WorkerLabels) {
    counter!("medhub_projection_lost_brokers_total", &label.to_pairs()).increment(1);
}

/// Sets the number of records that a generation has not consumed yet.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
pub(super) fn set_lag_events(projection: &'static str, generation: ReadModelGeneration, events: u64) {
    let labels = WorkerLabels { projection, generation }.to_pairs();
    gauge!("medhub_projection_lag_events", &labels).set(events as f64);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
pub(super) fn set_worker_gauges(status: &WorkerStatus) {
    let labels = WorkerLabels { projection: status.name, generation: status.generation }.to_pairs();
    gauge!("medhub_projection_lag_seconds", &labels).set(status.lag_s);
    gauge!("medhub_projection_position", &labels).set(status.position as f64);
    let up = match status.state {
        WorkerState::Starting | WorkerState::Running => 1.0,
        WorkerState::Retrying | WorkerState::Paused | WorkerState::Stopped => 0.0,
    };
    gauge!("medhub_projection_up", &labels).set(up);
}
