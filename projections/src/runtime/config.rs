//! Settings of the workers.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `brokers` | `127.0.0.1:9092` | comma-separated Kafka brokers |
//! | `topic_prefix` | `contracts` | topics are `<prefix>.<context>.events` |
//! | `group_prefix` | `medhub.` | consumer groups are `<prefix><projection>` |
//! | `batch_events` | 1000 | events that are applied together, at most |
//! | `linger_ms` | 50 | how long a batch waits for more events |
//! | `retry_min_ms`, `retry_max_ms` | 100, 10000 | pauses while a store is away |
//! | `poison_retry_ms` | 30000 | pause after an event that makes no sense |

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How workers consume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// Comma-separated brokers.
    pub brokers: String,
    /// What topics begin with.
    pub topic_prefix: String,
    /// What consumer groups begin with.
    pub group_prefix: String,
    /// Events that are applied together, at most.
    pub batch_events: usize,
    /// How long a batch waits for more events, in milliseconds.
    pub linger_ms: u64,
    /// First pause while a store is away, in milliseconds.
    pub retry_min_ms: u64,
    /// Longest pause while a store is away, in milliseconds.
    pub retry_max_ms: u64,
    /// Pause after an event that makes no sense, in milliseconds.
    pub poison_retry_ms: u64,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic_prefix: "contracts".to_owned(),
            group_prefix: "medhub.".to_owned(),
            batch_events: 1_000,
            linger_ms: 50,
            retry_min_ms: 100,
            retry_max_ms: 10_000,
            poison_retry_ms: 30_000,
        }
    }
}

impl KafkaConfig {
    /// The pause before attempt `attempt` (from 1): doubles from the shortest to the longest.
    pub(super) fn pause_before(&self, attempt: u32) -> Duration {
        let factor = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.retry_min_ms.saturating_mul(factor).min(self.retry_max_ms).max(1))
    }

    pub(super) fn poison_pause(&self) -> Duration {
        Duration::from_millis(self.poison_retry_ms.max(1))
    }

    pub(super) fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = KafkaConfig { retry_min_ms: 100, retry_max_ms: 1_000, ..KafkaConfig::default() };
        let pauses: Vec<_> = (1..=6).map(|attempt| config.pause_before(attempt).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(config.pause_before(u32::MAX).as_millis(), 1_000);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<KafkaConfig>(r#"{"broker": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `broker`"), "{error}");
    }
}
