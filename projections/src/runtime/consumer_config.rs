//! Settings of the workers and their consumers.
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `brokers` | `127.0.0.1:9092` | comma-separated Kafka brokers |
//! | `security_protocol`, `sasl`, `tls` | those of `kafka` | how clients connect and authenticate; see `engine_security::KafkaSecurity` |
//! | `topic_prefix` | `contracts` | topics are `<prefix>.<context>.events` |
//! | `partitions` | as the broker reports | partitions of each topic that carry events; from `kafka.partitions` |
//! | `group_prefix` | `medhub.` | consumer groups are `<prefix><projection>.<generation>` |
//! | `batch_events` | set by the projection | maximum number of events in a batch |
//! | `batch_bytes` | 8388608 | size in bytes at which a batch is full |
//! | `linger_ms` | set by the projection | the shortest time between two batches that are not full; it is longer while batches take long (ADR 50) |
//! | `fetch_wait_ms` | 500 | how long a broker that has no record waits before it answers a worker: a higher value costs an idle stack less; the first records of partitions that were just assigned, or resumed after a full batch, can be late by this time |
//! | `fetch_pause_ms` | 15 | how long a worker that has received records waits before it asks for more: a lower value reduces latency, a higher one the load while there are few events |
//! | `queue_bytes` | 16777216 | records fetched ahead of a worker, in bytes |
//! | `stall_after_ms` | 30000 | a partition that has records and delivers none for this long is stalled: the worker rejoins its group |
//! | `batch_timeout_ms` | 60000 | a batch that takes longer is aborted and retried |
//! | `retry_min_ms`, `retry_max_ms` | 100, 10000 | shortest and longest pause between retries while a store is unavailable |
//! | `breaker_failures` | 5 | consecutive failures after which the worker only pings the store until it answers |
//! | `parked_streams_max` | 10000 | maximum number of parked streams of a projection; it pauses instead of parking more |
//!
//! The memory of a worker beyond an idle process is bounded by 80 MiB, four times `queue_bytes` (each record comes with
//! headers and the client's bookkeeping) and twelve times `batch_bytes` (up to four batches, each in several forms): 240 MiB
//! with the defaults, independent of the backlog. `tests/it/dedicated_engines/worker_memory.rs` measures it for each
//! projection.

use std::time::Duration;

use domain::context::BoundedContext;
use engine_security::{EngineTlsConfig, KafkaSaslConfig, KafkaSecurity, KafkaSecurityProtocol};
use serde::{Deserialize, Serialize};

use super::{BatchLimits, ReadModelGeneration};

/// Settings of the workers and their consumers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsumerConfig {
    /// Kafka brokers, comma-separated.
    pub brokers: String,
    /// Whether connections use TLS and authenticate a user.
    pub security_protocol: KafkaSecurityProtocol,
    /// The user.
    pub sasl: KafkaSaslConfig,
    /// Authorities and the client's certificate.
    pub tls: EngineTlsConfig,
    /// Prefix of topic names.
    pub topic_prefix: String,
    /// Prefix of consumer group names.
    pub group_prefix: String,
    /// Number of partitions of each topic that carry events; partitions added later carry none. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i32>,
    /// Maximum number of events in a batch. Default: [`BatchLimits::batch_events`] of the projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_events: Option<usize>,
    /// Size in bytes at which a batch is full.
    pub batch_bytes: usize,
    /// The shortest time between two batches that are not full, in milliseconds. Default: [`BatchLimits::linger`] of the
    /// projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linger_ms: Option<u64>,
    /// How long a broker that has no record for a worker may wait for one before it answers, in milliseconds. A record
    /// can be late by this time: the client library has one request at a time to a broker. If that request leaves out a
    /// partition, because it was just assigned or resumed, its records wait for the answer.
    pub fetch_wait_ms: u64,
    /// How long a worker that has received records waits before it asks for more, in milliseconds. If it asked at once, a few
    /// hundred events a second would keep a core busy in broker and workers.
    pub fetch_pause_ms: u64,
    /// Size of the records fetched ahead of a worker, in bytes.
    pub queue_bytes: usize,
    /// How long an assigned partition may deliver nothing although it has records, in milliseconds, before the worker
    /// leaves its group and rejoins it: the client library gives up on some failures without an error.
    pub stall_after_ms: u64,
    /// How long a batch may take, in milliseconds, before it is aborted, reported as timed out, and retried.
    pub batch_timeout_ms: u64,
    /// First pause between retries while a store is unavailable, in milliseconds.
    pub retry_min_ms: u64,
    /// Longest pause between retries while a store is unavailable, in milliseconds.
    pub retry_max_ms: u64,
    /// Consecutive failures after which the worker only pings the store until it answers.
    pub breaker_failures: u32,
    /// Maximum number of parked streams of a projection. It pauses instead of parking more, because so many indicate a
    /// common cause.
    #[serde(alias = "parked_sequences_max")]
    pub parked_streams_max: u32,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            security_protocol: KafkaSecurityProtocol::default(),
            sasl: KafkaSaslConfig::default(),
            tls: EngineTlsConfig::default(),
            topic_prefix: "contracts".to_owned(),
            group_prefix: "medhub.".to_owned(),
            partitions: None,
            batch_events: None,
            batch_bytes: 8 << 20,
            linger_ms: None,
            fetch_wait_ms: 500,
            fetch_pause_ms: 15,
            queue_bytes: 16 << 20,
            stall_after_ms: 30_000,
            batch_timeout_ms: 60_000,
            retry_min_ms: 100,
            retry_max_ms: 10_000,
            breaker_failures: 5,
            parked_streams_max: 10_000,
        }
    }
}

impl ConsumerConfig {
    /// How clients connect and authenticate.
    pub fn security(&self) -> KafkaSecurity<'_> {
        KafkaSecurity { protocol: self.security_protocol, sasl: &self.sasl, tls: &self.tls }
    }

    /// The pause after failure number `attempt` (from 1): doubles from the shortest to the longest.
    pub(super) fn retry_pause(&self, attempt: u32) -> Duration {
        let factor = 1_u64.checked_shl(attempt.saturating_sub(1)).unwrap_or(u64::MAX);
        Duration::from_millis(self.retry_min_ms.saturating_mul(factor).min(self.retry_max_ms).max(1))
    }

    /// How long a broker may wait, below the client library's time limit of requests.
    pub(super) fn fetch_wait_ms(&self) -> u64 {
        self.fetch_wait_ms.min(30_000)
    }

    pub(super) fn batch_timeout(&self) -> Duration {
        Duration::from_millis(self.batch_timeout_ms.max(1))
    }

    pub(super) fn stall_after(&self) -> Duration {
        Duration::from_millis(self.stall_after_ms.max(1))
    }

    pub(super) fn linger(&self, limits: BatchLimits) -> Duration {
        self.linger_ms.map_or(limits.linger, Duration::from_millis)
    }

    pub(super) fn batch_events(&self, limits: BatchLimits) -> usize {
        self.batch_events.unwrap_or(limits.batch_events).max(1)
    }

    /// The consumer group id of a generation.
    pub fn group_id(&self, projection: &str, generation: ReadModelGeneration) -> String {
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
