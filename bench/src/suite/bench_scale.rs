//! How much a run of all benchmarks measures.

use std::{collections::BTreeMap, time::Duration};

/// Sizes and rates of all parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BenchScale {
    /// Name in reports; only reports of one scale are compared.
    pub name: &'static str,
    /// Repetitions of each measurement.
    pub repetitions: u32,
    /// Commands in flight, and clients of pgbench.
    pub append_in_flight: usize,
    /// Duration of each measurement of appends.
    pub append_duration: Duration,
    /// Events of the log that is read.
    pub replay_events: u64,
    /// Events that the relay publishes.
    pub relay_events: u64,
    /// Events per second from commit to Kafka.
    pub relay_rate: u32,
    /// Events that are applied to each read model.
    pub projection_events: u64,
    /// Events per second from commit to visible.
    pub latency_rate: u32,
    /// Duration of measurements at a rate, in seconds.
    pub steady_seconds: u32,
    /// Notices that the measured service holds.
    pub api_notices: u64,
    /// Requests of the cheapest kind.
    pub api_requests: u64,
    /// Requests per second of kinds that are measured at a rate.
    pub api_rate: u32,
    /// Subscribers of changes.
    pub api_subscribers: usize,
    /// Changes that each subscriber receives.
    pub api_changes: usize,
    /// Documents of each sort.
    pub documents: u32,
}

impl BenchScale {
    /// Shows that everything can be measured; the figures say little.
    pub const QUICK: Self = Self {
        name: "quick",
        repetitions: 1,
        append_in_flight: 16,
        append_duration: Duration::from_millis(300),
        replay_events: 5_000,
        relay_events: 5_000,
        relay_rate: 200,
        projection_events: 1_000,
        latency_rate: 100,
        steady_seconds: 1,
        api_notices: 200,
        api_requests: 100,
        api_rate: 100,
        api_subscribers: 3,
        api_changes: 3,
        documents: 1,
    };

    /// Some minutes.
    pub const DEFAULT: Self = Self {
        name: "default",
        repetitions: 3,
        append_in_flight: 64,
        append_duration: Duration::from_secs(2),
        replay_events: 100_000,
        relay_events: 100_000,
        relay_rate: 2_000,
        projection_events: 20_000,
        latency_rate: 1_000,
        steady_seconds: 5,
        api_notices: 10_000,
        api_requests: 4_000,
        api_rate: 2_000,
        api_subscribers: 200,
        api_changes: 10,
        documents: 3,
    };

    /// The sizes of the single benchmarks' defaults, for figures that are published.
    pub const FULL: Self = Self {
        name: "full",
        repetitions: 5,
        append_in_flight: 64,
        append_duration: Duration::from_secs(4),
        replay_events: 200_000,
        relay_events: 200_000,
        relay_rate: 2_000,
        projection_events: 100_000,
        latency_rate: 1_000,
        steady_seconds: 20,
        api_notices: 45_000,
        api_requests: 20_000,
        api_rate: 2_000,
        api_subscribers: 1_000,
        api_changes: 20,
        documents: 5,
    };

    /// Returns what is worth knowing about the sizes, for the report.
    pub(super) fn describe(&self) -> BTreeMap<String, String> {
        let sizes = [
            ("repetitions", u64::from(self.repetitions)),
            ("append.in_flight", self.append_in_flight as u64),
            ("replay.events", self.replay_events),
            ("relay.events", self.relay_events),
            ("relay.rate", self.relay_rate.into()),
            ("projection.events", self.projection_events),
            ("latency.rate", self.latency_rate.into()),
            ("latency.seconds", self.steady_seconds.into()),
            ("api.notices", self.api_notices),
            ("api.requests", self.api_requests),
            ("api.rate", self.api_rate.into()),
        ];
        sizes.map(|(name, size)| (name.to_owned(), size.to_string())).into()
    }
}
