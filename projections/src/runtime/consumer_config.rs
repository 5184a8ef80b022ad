//! Settings of the workers.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `brokers` | `127.0.0.1:9092` | comma-separated Kafka brokers |
//! | `topic_prefix` | `contracts` | topics are `<prefix>.<context>.events` |
//! | `partitions` | as the broker says | partitions of each topic that carry events; from `kafka.partitions` |
//! | `group_prefix` | `medhub.` | consumer groups are `<prefix><projection>.<generation>` |
//! | `batch_events` | each projection's own | events that are applied together, at most |
//! | `batch_bytes` | 8388608 | a batch that has reached this many bytes is not added to |
//! | `linger_ms` | each projection's own | how long a batch waits for more events |
//! | `fetch_wait_ms` | 15 | how long a broker collects records before it answers a worker: lower is less latency, higher less idle load |
//! | `queue_bytes` | 16777216 | records fetched ahead of a worker, in bytes |
//! | `stall_after_ms` | 30000 | a partition that brings nothing for so long, though it has records, is joined anew |
//! | `batch_timeout_ms` | 60000 | a batch that takes longer is tried again: somebody does not answer |
//! | `retry_min_ms`, `retry_max_ms` | 100, 10000 | pauses while a store is away |
//! | `breaker_failures` | 5 | failures in a row after which a store is only asked whether it is back |
//! | `parked_sequences_max` | 10000 | streams a projection parks before it pauses instead |
//!
//! What a worker needs beside an idle process is bounded by 80 MiB, four times `queue_bytes` (headers and the client's own
//! notes come with each record) and six times `batch_bytes` for a batch in all its forms: 192 MiB with the defaults,
//! whatever waits on the topics. `tests/it/own_engines/worker_memory.rs` measures it for each projection.

use std::time::Duration;

use domain::context::BoundedContext;
use serde::{Deserialize, Serialize};

use super::{BatchLimits, Generation};

/// How workers consume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerConfig {
    /// Comma-separated brokers.
    pub brokers: String,
    /// What topics begin with.
    pub topic_prefix: String,
    /// What consumer groups begin with.
    pub group_prefix: String,
    /// Partitions of each topic that carry events, which further ones never do; by default all that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Events that are applied together, at most; by default as many as suits the projection's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_events: Option<usize>,
    /// A batch that has reached this many bytes is not added to.
    pub batch_bytes: usize,
    /// How long a batch waits for more events, in milliseconds; by default as suits the projection's store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linger_ms: Option<u64>,
    /// How long a broker collects records before it answers a fetch that has little to tell, in milliseconds. With an
    /// answer for every single record, broker and workers keep a core busy with a few hundred events a second.
    pub fetch_wait_ms: u64,
    /// Records fetched ahead of a worker, in bytes.
    pub queue_bytes: usize,
    /// How long an assigned partition may bring nothing although it has records, in milliseconds, before the worker leaves
    /// its group and joins it again: the client library gives up on some failures without a word.
    pub stall_after_ms: u64,
    /// How long a batch may take, in milliseconds, until it is tried again and the worker says that somebody does not
    /// answer.
    pub batch_timeout_ms: u64,
    /// First pause while a store is away, in milliseconds.
    pub retry_min_ms: u64,
    /// Longest pause while a store is away, in milliseconds.
    pub retry_max_ms: u64,
    /// Failures in a row after which a store is only asked whether it is back.
    pub breaker_failures: u32,
    /// Streams that a projection parks before it pauses instead: so many are no accident.
    pub parked_sequences_max: u32,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            topic_prefix: "contracts".to_owned(),
            group_prefix: "medhub.".to_owned(),
            partitions: None,
            batch_events: None,
            batch_bytes: 8 << 20,
            linger_ms: None,
            fetch_wait_ms: 15,
            queue_bytes: 16 << 20,
            stall_after_ms: 30_000,
            batch_timeout_ms: 60_000,
            retry_min_ms: 100,
            retry_max_ms: 10_000,
            breaker_failures: 5,
            parked_sequences_max: 10_000,
        }
    }
}

impl ConsumerConfig {
    /// The pause before attempt `attempt` (from 1): doubles from the shortest to the longest.
    pub(super) fn retry_pause(&self, attempt: u32) -> Duration {
        let factor = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.retry_min_ms.saturating_mul(factor).min(self.retry_max_ms).max(1))
    }

    /// How long a batch may take.
    pub(super) fn batch_timeout(&self) -> Duration {
        Duration::from_millis(self.batch_timeout_ms.max(1))
    }

    /// How long an assigned partition that has records may bring none.
    pub(super) fn stall_after(&self) -> Duration {
        Duration::from_millis(self.stall_after_ms.max(1))
    }

    /// How long a batch waits for more events.
    pub(super) fn linger(&self, pace: BatchLimits) -> Duration {
        self.linger_ms.map_or(pace.linger, Duration::from_millis)
    }

    /// How many events a batch has, at most.
    pub(super) fn batch_events(&self, pace: BatchLimits) -> usize {
        self.batch_events.unwrap_or(pace.batch_events).max(1)
    }

    /// The consumer group of a generation.
    pub fn group_id(&self, projection: &str, generation: Generation) -> String {
        format!("{}{projection}.{generation}", self.group_prefix)
    }

    /// The topics of these contexts.
    pub fn topics(&self, contexts: &[BoundedContext]) -> Vec<String> {
        contexts.iter().map(|context| context.topic(&self.topic_prefix)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = ConsumerConfig { retry_min_ms: 100, retry_max_ms: 1_000, ..ConsumerConfig::default() };
        let pauses: Vec<_> = (1..=6).map(|attempt| config.retry_pause(attempt).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(config.retry_pause(u32::MAX).as_millis(), 1_000);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = serde_json::from_str::<ConsumerConfig>(r#"{"broker": "x"}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `broker`"), "{error}");
    }
}
