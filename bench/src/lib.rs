//! Benchmarks: measure a part of the system beside a baseline, the raw limit in the same run on the same machine.
//!
//! Absolute figures drift on shared machines; compare ratios.

pub mod api;
pub mod append;
mod baseline;
pub mod bench_database;
mod bench_environment;
pub mod cpu_time;
pub mod documents;
pub mod growth;
pub mod idle;
pub mod latency;
mod log;
pub mod memory;
pub mod memory_growth;
mod process_stat;
pub mod project;
pub mod relay;
pub mod replay;
pub mod report;
pub mod suite;
mod termination;

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;

pub use self::baseline::MEASURED_PROJECTIONS;
use self::report::{BenchMeasure, MeasureRepetition, MeasureUnit};

/// Figures of one measurement.
#[derive(Debug, Clone, Serialize)]
pub struct BenchFigures {
    /// Number of events.
    pub events: u64,
    /// Elapsed time, in seconds.
    pub seconds: f64,
    /// Events per second.
    pub events_per_s: f64,
    /// Median latency, in milliseconds; `None` if single events are not timed.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the latency, in milliseconds; `None` if single events are not timed.
    pub p99_ms: Option<f64>,
    /// CPU time of this process, in seconds.
    pub cpu_s: f64,
}

impl BenchFigures {
    /// Creates figures of `events` events in `elapsed`, with `cpu` of CPU time. `waits` holds latencies in
    /// microseconds.
    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    pub fn new(events: u64, elapsed: Duration, cpu: Duration, waits: Option<&Histogram<u64>>) -> Self {
        let seconds = elapsed.as_secs_f64();
        let quantile = |q| waits.map(|waits| waits.value_at_quantile(q) as f64 / 1_000.0);
        Self {
            events,
            seconds,
            events_per_s: if seconds > 0.0 { events as f64 / seconds } else { 0.0 },
            p50_ms: quantile(0.5),
            p99_ms: quantile(0.99),
            cpu_s: cpu.as_secs_f64(),
        }
    }
}

impl BenchFigures {
    /// Returns the run with the median throughput.
    ///
    /// # Errors
    /// When `runs` is empty.
    pub fn median(mut runs: Vec<Self>) -> anyhow::Result<Self> {
        runs.sort_by(|one, other| one.events_per_s.total_cmp(&other.events_per_s));
        let middle = runs.len() / 2;
        runs.into_iter().nth(middle).context("nothing was measured")
    }
}

/// Upper bound of the histograms, in microseconds: an hour.
const MAX_WAIT_MICROS: u64 = 3_600_000_000;

/// Creates an empty histogram of latencies in microseconds. It has bounds, because one without bounds grows on `record`
/// only, and `saturating_record` would clamp everything to its initial range of a few microseconds.
///
/// # Errors
/// Never with these bounds.
fn new_wait_histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, MAX_WAIT_MICROS, 3).context("creating a histogram")
}

/// Converts a latency to microseconds, saturating.
fn to_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The JSON line that a benchmark prints.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Name of the benchmark.
    pub bench: &'static str,
    /// Figures of the product.
    #[serde(flatten)]
    pub figures: BenchFigures,
    /// Figures of the baseline: the least equivalent work without the product.
    pub raw: BenchFigures,
    /// Describes the baseline.
    pub raw_is: String,
    /// `events_per_s` divided by the baseline's; 0 if the baseline has 0.
    pub ratio: f64,
    /// Figures that only this benchmark has.
    #[serde(flatten)]
    pub extra_figures: serde_json::Map<String, serde_json::Value>,
    /// The same with each repetition, for `bench all`.
    #[serde(skip)]
    pub measures: Vec<BenchMeasure>,
}

impl BenchReport {
    /// Creates a report without extra figures.
    pub fn new(bench: &'static str, figures: BenchFigures, raw_is: impl Into<String>, raw: BenchFigures) -> Self {
        let ratio = if raw.events_per_s > 0.0 { figures.events_per_s / raw.events_per_s } else { 0.0 };
        Self {
            bench,
            figures,
            raw,
            raw_is: raw_is.into(),
            ratio,
            extra_figures: serde_json::Map::new(),
            measures: vec![],
        }
    }

    /// Adds an extra figure.
    #[must_use]
    pub fn with_figure(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra_figures.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a measure of throughput beside the baseline, from figures of the product and of the baseline in turns.
    #[must_use]
    pub(crate) fn with_throughput(mut self, name: &str, ours: &[BenchFigures], raw: &[BenchFigures]) -> Self {
        let repetitions = ours.iter().zip(raw).map(|(ours, raw)| MeasureRepetition::from_figures(ours, Some(raw)));
        let measure = BenchMeasure::new(name, MeasureUnit::EventsPerSecond, repetitions.collect());
        self.measures.push(measure.with_raw_limit(&self.raw_is));
        self
    }

    /// Adds a measure of throughput with the figures of this report as the only repetition.
    #[must_use]
    pub(crate) fn with_single_throughput(self, name: &str) -> Self {
        let (ours, raw) = (self.figures.clone(), self.raw.clone());
        self.with_throughput(name, &[ours], &[raw])
    }

    /// Adds a measure.
    #[must_use]
    pub(crate) fn with_measure(mut self, measure: BenchMeasure) -> Self {
        self.measures.push(measure);
        self
    }
}
