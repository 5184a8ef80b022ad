//! How often a consumer asks the broker for records.

use crate::runtime::{BatchLimits, ConsumerConfig, FetchStrategy};

/// Number of queued records at which a consumer with [`FetchStrategy::AtOnce`] pauses; the client library's default.
const QUEUED_RECORDS: u64 = 100_000;

/// How long a full queue stops fetching, in milliseconds. With the client library's default, 1,000, a worker that empties its
/// queue sooner would wait for the rest of a second.
const QUEUE_PAUSE_MS: u64 = 20;

/// The longest pause that the client library accepts, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 300_000;

/// Settings of the client library. In any case the broker answers as soon as it has a record, so that an idle consumer asks
/// seldom and the first record after a silence comes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchSettings {
    /// How long the broker may wait for a record, in milliseconds.
    pub(super) wait_ms: u64,
    /// With this many records in its queue, a consumer pauses before it asks for more.
    pub(super) queued_records: u64,
    /// Duration of this pause, in milliseconds.
    pub(super) pause_ms: u64,
}

impl FetchSettings {
    /// Chooses the settings for a strategy. To collect records, a consumer pauses after each answer that has any: they are
    /// still in its queue when it decides whether to ask again. It does not ask more often than batches are formed.
    pub(super) fn new(strategy: FetchStrategy, limits: BatchLimits, config: &ConsumerConfig) -> Self {
        let wait_ms = config.fetch_wait_ms();
        match strategy {
            FetchStrategy::Collect => {
                let between_batches_ms = u64::try_from(config.linger(limits).as_millis()).unwrap_or(u64::MAX);
                let pause_ms = config.fetch_pause_ms.max(between_batches_ms).min(LONGEST_PAUSE_MS);
                Self { wait_ms, queued_records: 1, pause_ms }
            }
            FetchStrategy::AtOnce => Self { wait_ms, queued_records: QUEUED_RECORDS, pause_ms: QUEUE_PAUSE_MS },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limits(linger_ms: u64) -> BatchLimits {
        BatchLimits { batch_events: 100, linger: Duration::from_millis(linger_ms), rebuild_events: 100 }
    }

    #[test]
    fn a_collecting_consumer_pauses_after_any_record_and_one_with_few_events_never() {
        let config = ConsumerConfig { fetch_wait_ms: 70, fetch_pause_ms: 9, ..ConsumerConfig::default() };
        let collecting = FetchSettings::new(FetchStrategy::Collect, limits(2), &config);
        assert_eq!(collecting, FetchSettings { wait_ms: 70, queued_records: 1, pause_ms: 9 });
        assert_eq!(FetchSettings::new(FetchStrategy::Collect, limits(30), &config).pause_ms, 30);
        let at_once = FetchSettings::new(FetchStrategy::AtOnce, limits(30), &config);
        assert!(at_once.queued_records > 1_000 && at_once.wait_ms == 70);
    }

    #[test]
    fn settings_stay_within_what_the_client_library_accepts() {
        let config = ConsumerConfig { fetch_wait_ms: u64::MAX, fetch_pause_ms: u64::MAX, ..ConsumerConfig::default() };
        let settings = FetchSettings::new(FetchStrategy::Collect, limits(2), &config);
        let mut client = rdkafka::ClientConfig::new();
        client.set("group.id", "settings").set("fetch.wait.max.ms", settings.wait_ms.to_string());
        client.set("fetch.queue.backoff.ms", settings.pause_ms.to_string());
        client.set("queued.min.messages", settings.queued_records.to_string());
        let created: Result<rdkafka::consumer::BaseConsumer, _> = client.create();
        assert!(created.is_ok(), "{:?}", created.err());
    }
}
