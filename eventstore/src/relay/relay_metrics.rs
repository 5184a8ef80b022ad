//! The relay's Prometheus metrics.

use chrono::{DateTime, Utc};
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use super::{OpenAppend, record_sender::SentBatch};

const LEADING: &str = "medhub_relay_leading";
const POSITION: &str = "medhub_relay_position";
const FENCE: &str = "medhub_log_completed_position";
const PUBLISHED: &str = "medhub_relay_events_total";
const UNACKNOWLEDGED: &str = "medhub_relay_unacknowledged_records";
const COMMIT_TO_KAFKA: &str = "medhub_relay_commit_to_kafka_seconds";
const OPEN_APPEND: &str = "medhub_relay_open_append_age_seconds";

pub(super) fn describe_metrics() {
    describe_gauge!(LEADING, "1 while this process leads, 0 while it is on standby");
    describe_gauge!(POSITION, "Position of the log up to which Kafka has acknowledged every event");
    describe_gauge!(FENCE, "Position up to which the log is complete");
    describe_counter!(PUBLISHED, "Events that Kafka has acknowledged");
    describe_gauge!(UNACKNOWLEDGED, "Records of the oldest batch that Kafka has not acknowledged yet");
    describe_histogram!(COMMIT_TO_KAFKA, "Seconds from an event's append to Kafka's acknowledgement");
    describe_gauge!(OPEN_APPEND, "Age in seconds of a transaction whose open append delays the relay");
}

#[expect(clippy::cast_precision_loss, reason = "no log reaches position 2^53")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

pub(super) fn set_leading(leads: bool) {
    gauge!(LEADING).set(f64::from(u8::from(leads)));
}

pub(super) fn set_unacknowledged(records: usize) {
    gauge!(UNACKNOWLEDGED).set(to_f64(u64::try_from(records).unwrap_or(u64::MAX)));
}

pub(super) fn record_acknowledged(batch: &SentBatch, now: DateTime<Utc>) {
    set_unacknowledged(0);
    gauge!(POSITION).set(to_f64(batch.reached));
    gauge!(FENCE).set(to_f64(batch.fence));
    counter!(PUBLISHED).increment(batch.events);
    if let Some(oldest) = batch.oldest {
        histogram!(COMMIT_TO_KAFKA).record((now - oldest).as_seconds_f64().max(0.0));
    }
}

/// Sets the age of an open append that delays the relay, in seconds; 0 once it has ended.
pub(super) fn set_open_append_age(append: &OpenAppend, age_s: f64) {
    let transaction = append.prepared_as.clone().unwrap_or_else(|| append.pid.to_string());
    gauge!(
        OPEN_APPEND,
        "pid" => transaction,
        "application" => append.application.clone(),
        "query" => append.query.clone(),
    )
    .set(age_s);
}
