//! Prometheus metrics of the workers; `docs/metrics.md` says what they mean.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::{ReadModelGeneration, WorkerState, WorkerStatus, worker_status::BatchProgress};

/// The labels of a worker's metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    if progress.applied > 0 {
        histogram!("medhub_projection_delay_seconds", &labels).record(progress.delay_s);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; a worker has few slots")]
pub(super) fn set_batch_slots(label: &WorkerLabels, slots: usize) {
    gauge!("medhub_projection_batch_slots", &label.to_pairs()).set(slots as f64);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; a worker has few slots")]
pub(super) fn set_batches_in_flight(label: &WorkerLabels, batches: usize) {
    gauge!("medhub_projection_batches_in_flight", &label.to_pairs()).set(batches as f64);
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

/// Sets how far a generation is behind: the number of records that it has not consumed, and the age in seconds of the oldest
/// event that it has not applied, if that could be read.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
pub(super) fn set_lag(label: &WorkerLabels, records: u64, oldest_age_s: Option<f64>) {
    gauge!("medhub_projection_lag_events", &label.to_pairs()).set(records as f64);
    if let Some(age_s) = oldest_age_s {
        set_lag_age(label, age_s);
    }
}

/// Sets the age in seconds of the oldest event that a generation has not applied.
pub(super) fn set_lag_age(label: &WorkerLabels, age_s: f64) {
    gauge!("medhub_projection_lag_seconds", &label.to_pairs()).set(age_s);
}

/// Sets whether queries read a generation.
pub(super) fn set_active(label: &WorkerLabels, is_active: bool) {
    gauge!("medhub_projection_active", &label.to_pairs()).set(f64::from(u8::from(is_active)));
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
pub(super) fn set_worker_gauges(status: &WorkerStatus) {
    let labels = WorkerLabels { projection: status.name, generation: status.generation }.to_pairs();
    gauge!("medhub_projection_position", &labels).set(status.position as f64);
    let up = match status.state {
        WorkerState::Starting | WorkerState::Running => 1.0,
        WorkerState::Retrying | WorkerState::Paused | WorkerState::Stopped => 0.0,
    };
    gauge!("medhub_projection_up", &labels).set(up);
}
