//! The relay's Prometheus metrics.

use chrono::{DateTime, Utc};
use metrics::{counter, gauge, histogram};

use super::record_sender::SentBatch;

#[expect(clippy::cast_precision_loss, reason = "no log reaches position 2^53")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

pub(super) fn set_leading(leads: bool) {
    gauge!("medhub_relay_leading").set(f64::from(u8::from(leads)));
}

pub(super) fn set_unacknowledged(records: usize) {
    gauge!("medhub_relay_unacknowledged_records").set(to_f64(u64::try_from(records).unwrap_or(u64::MAX)));
}

pub(super) fn record_acknowledged(batch: &SentBatch, now: DateTime<Utc>) {
    set_unacknowledged(0);
    gauge!("medhub_relay_position").set(to_f64(batch.reached));
    gauge!("medhub_log_completed_position").set(to_f64(batch.fence));
    counter!("medhub_relay_events_total").increment(batch.events);
    if let Some(oldest) = batch.oldest {
        histogram!("medhub_relay_commit_to_kafka_seconds").record((now - oldest).as_seconds_f64().max(0.0));
    }
}

/// Sets how far the checkpoint is behind the log: a number of events, and the age of the oldest of them in seconds.
pub(super) fn set_lag(events: u64, age_s: f64) {
    gauge!("medhub_relay_lag_events").set(to_f64(events));
    gauge!("medhub_relay_lag_seconds").set(age_s);
}

/// Sets the age of the oldest open append that delays the relay, in seconds; 0 without one. Whose it is, is in the log and in
/// the status: any client of Postgres chooses its name.
pub(super) fn set_open_append_age(age_s: f64) {
    gauge!("medhub_relay_open_append_age_seconds").set(age_s);
}

/// The gauges that only a leader sets, from its start until it is dropped: then they have no meaning, and become 0.
pub(super) struct LeaderGauges(());

impl LeaderGauges {
    pub(super) fn start() -> Self {
        set_leading(true);
        Self(())
    }
}

impl Drop for LeaderGauges {
    fn drop(&mut self) {
        set_leading(false);
        set_unacknowledged(0);
        set_open_append_age(0.0);
    }
}
