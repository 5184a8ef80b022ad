//! Metrics of `/ingest`: what became of the events, and how full the buffer is.

use std::time::Duration;

use domain::event_store::FactOutcome;
use metrics::{counter, gauge, histogram};
use tokio::sync::Semaphore;

/// Counts events by what became of them.
pub(super) fn count_events(outcome: &'static str, events: usize) {
    if events > 0 {
        counter!("medhub_ingest_events_total", "outcome" => outcome).increment(events as u64);
    }
}

/// Counts the events of an append; `None` if it failed.
pub(super) fn count_appended(outcomes: Option<&[FactOutcome]>, events: usize) {
    let Some(outcomes) = outcomes else { return count_events("failed", events) };
    for (name, outcome) in
        [("recorded", FactOutcome::Recorded), ("known", FactOutcome::Known), ("visit_full", FactOutcome::StreamFull)]
    {
        count_events(name, outcomes.iter().filter(|found| **found == outcome).count());
    }
}

/// Records the time that appending a batch took.
pub(super) fn record_append(is_recorded: bool, elapsed: Duration) {
    let outcome = if is_recorded { "recorded" } else { "failed" };
    histogram!("medhub_ingest_append_duration_seconds", "outcome" => outcome).record(elapsed);
}

/// Sets how full the buffer with these permits is.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point; the buffer has few events")]
pub(super) fn set_buffer(limit: usize, free: &Semaphore) {
    let limit = limit.min(Semaphore::MAX_PERMITS);
    gauge!("medhub_ingest_buffer_events").set(limit.saturating_sub(free.available_permits()) as f64);
    gauge!("medhub_ingest_buffer_limit_events").set(limit as f64);
}
