//! Settings of the relay.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Minimum term of the lease: an ordinary pause of a process must not end it.
const MIN_LEASE_MS: u64 = 600;

/// Settings of the relay.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Maximum number of events in a batch.
    pub batch_events: u32,
    /// Maximum number of events that are sent and not yet acknowledged; bounds the memory while Kafka is unavailable.
    pub in_flight_events: u32,
    /// Pause between polls of the log, in milliseconds; events that arrive meanwhile are sent together. It grows up to
    /// `poll_max_ms` while there are none.
    pub poll_min_ms: u64,
    /// Maximum pause between polls while appends do not wake the relay, in milliseconds: while one is open, and behind a
    /// session-sharing pooler.
    pub poll_max_ms: u64,
    /// Pause between polls while appends wake the relay, in milliseconds: programs whose `application_name` does not begin
    /// with `medhub` append without waking it.
    pub poll_idle_ms: u64,
    /// How long a partition's watermark may lag behind the checkpoint before it gets a beacon, in milliseconds.
    pub beacon_ms: u64,
    /// Pause before a retry after a failure, and between a standby's attempts to lead, in milliseconds.
    pub retry_ms: u64,
    /// Pause before the retry of an event that cannot be published, in milliseconds.
    pub poison_retry_ms: u64,
    /// An open append that delays the relay for this long is reported by a log line and a metric, in milliseconds.
    pub slow_append_ms: u64,
    /// Term of the leader's lease, in milliseconds: the longest time without a leader after one was killed. The lease
    /// is renewed six times per term; a leader that cannot renew it for a term loses the lead.
    pub lease_ms: u64,
    /// How long Postgres may take to answer, in milliseconds, before the relay retries on another connection.
    pub answer_ms: u64,
    /// How long a relay that shuts down waits for Kafka to acknowledge what was sent, in milliseconds.
    pub stop_timeout_ms: u64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            batch_events: 2_000,
            in_flight_events: 20_000,
            poll_min_ms: 2,
            poll_max_ms: 20,
            poll_idle_ms: 250,
            beacon_ms: 500,
            retry_ms: 1_000,
            poison_retry_ms: 10_000,
            slow_append_ms: 5_000,
            lease_ms: 3_000,
            answer_ms: 5_000,
            stop_timeout_ms: 10_000,
        }
    }
}

impl RelayConfig {
    pub(super) fn batch_events(&self) -> usize {
        usize::try_from(self.batch_events).unwrap_or(usize::MAX).max(1)
    }

    pub(super) fn max_in_flight(&self) -> u32 {
        self.in_flight_events.max(1)
    }

    pub(super) fn poll_intervals(&self) -> (Duration, Duration) {
        let shortest = self.poll_min_ms.max(1);
        (Duration::from_millis(shortest), Duration::from_millis(self.poll_max_ms.max(shortest)))
    }

    pub(super) fn idle_poll_interval(&self) -> Duration {
        Duration::from_millis(self.poll_idle_ms.max(1))
    }

    pub(super) fn beacon_interval(&self) -> Duration {
        Duration::from_millis(self.beacon_ms.max(1))
    }

    pub(super) fn retry_delay(&self) -> Duration {
        Duration::from_millis(self.retry_ms.max(1))
    }

    pub(super) fn poison_retry_delay(&self) -> Duration {
        Duration::from_millis(self.poison_retry_ms.max(1))
    }

    pub(super) fn slow_append_threshold(&self) -> Duration {
        Duration::from_millis(self.slow_append_ms)
    }

    pub(super) fn lease_duration(&self) -> Duration {
        Duration::from_millis(self.lease_ms.max(MIN_LEASE_MS))
    }

    pub(super) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_ms.max(1))
    }

    pub(super) fn stop_timeout(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms)
    }
}
