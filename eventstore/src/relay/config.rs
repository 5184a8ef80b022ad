//! How the relay works.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A shorter term would be over before an ordinary pause of a process is.
const MIN_LEASE_MS: u64 = 600;

/// How the relay works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Most events of one batch.
    pub batch_events: u32,
    /// Most events that are read and not yet acknowledged by Kafka; bounds the relay's memory while Kafka is away.
    pub in_flight_events: u32,
    /// Pause between looks at the log while little comes, in milliseconds: what comes meanwhile travels together. It
    /// grows to the longest one while nothing comes.
    pub poll_min_ms: u64,
    /// The longest such pause, in milliseconds.
    pub poll_max_ms: u64,
    /// How far a partition's watermark may lag behind the log, in milliseconds, before a beacon says how far the
    /// partition has come.
    pub beacon_ms: u64,
    /// Pause before trying again after a failure, and between a standby's tries to lead, in milliseconds.
    pub retry_ms: u64,
    /// Pause before trying an event again that cannot be published, in milliseconds.
    pub poison_retry_ms: u64,
    /// An append that stays open this long and holds the relay up is named in the log and in a metric, in milliseconds.
    pub slow_append_ms: u64,
    /// The term of the lease of who leads, in milliseconds: the longest time for which nobody leads after a leader was
    /// killed. It is renewed six times in each term; a Postgres or a process that is silent for longer loses the lead.
    pub lease_ms: u64,
    /// How long Postgres may take to answer the relay, in milliseconds, before it asks again on another connection.
    pub answer_ms: u64,
    /// How long a relay that is told to stop waits for Kafka to acknowledge what was sent, in milliseconds.
    pub stop_timeout_ms: u64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            batch_events: 2_000,
            in_flight_events: 20_000,
            poll_min_ms: 4,
            poll_max_ms: 20,
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
