//! Benchmarks: what a part of the system does, beside the raw limit measured in the same run on the same machine.
//!
//! Absolute times drift on shared machines; the ratio is what a claim rests on.

pub mod api;
pub mod append;
mod baseline;
pub mod bench_database;
mod bench_environment;
pub mod cpu_time;
pub mod latency;
mod log;
pub mod memory;
pub mod project;
pub mod relay;
pub mod replay;

use std::time::Duration;

use anyhow::Context;
use hdrhistogram::Histogram;
use serde::Serialize;

pub(crate) use self::baseline::MEASURED_PROJECTIONS;

/// What one measurement gave.
#[derive(Debug, Clone, Serialize)]
pub struct BenchFigures {
    /// How many events.
    pub events: u64,
    /// In how many seconds.
    pub seconds: f64,
    /// Events in a second.
    pub events_per_s: f64,
    /// Half of all waits were shorter, in milliseconds; `None` where nobody waits for a single event.
    pub p50_ms: Option<f64>,
    /// 99 of 100 waits were shorter, in milliseconds.
    pub p99_ms: Option<f64>,
    /// Processor time of this process, in seconds.
    pub cpu_s: f64,
}

impl BenchFigures {
    /// Figures of `events` events in `elapsed`, with `cpu` of processor time. `waits` are in microseconds.
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
    /// The run in the middle of several, by throughput.
    ///
    /// # Errors
    /// When there was none.
    pub fn median(mut runs: Vec<Self>) -> anyhow::Result<Self> {
        runs.sort_by(|one, other| one.events_per_s.total_cmp(&other.events_per_s));
        let middle = runs.len() / 2;
        runs.into_iter().nth(middle).context("nothing was measured")
    }
}

/// The longest wait that a histogram tells from a longer one, in microseconds: an hour.
const MAX_WAIT_MICROS: u64 = 3_600_000_000;

/// An empty histogram of waits in microseconds. It has bounds: one without them would grow on `record` only, and
/// `saturating_record` would put everything into its few first microseconds.
///
/// # Errors
/// Never with these bounds.
fn new_wait_histogram() -> anyhow::Result<Histogram<u64>> {
    Histogram::new_with_bounds(1, MAX_WAIT_MICROS, 3).context("making a histogram")
}

/// A wait as the histograms take it.
fn to_micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What a benchmark prints: one JSON line.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Which benchmark.
    pub bench: &'static str,
    /// What was measured.
    #[serde(flatten)]
    pub figures: BenchFigures,
    /// The raw limit: the least equivalent work without this system.
    pub raw: BenchFigures,
    /// What the raw limit is.
    pub raw_is: String,
    /// `events_per_s` divided by that of the raw limit.
    pub ratio: f64,
    /// Figures of this benchmark alone.
    #[serde(flatten)]
    pub extra_figures: serde_json::Map<String, serde_json::Value>,
}

impl BenchReport {
    /// A report without figures of its own.
    pub fn new(bench: &'static str, figures: BenchFigures, raw_is: impl Into<String>, raw: BenchFigures) -> Self {
        let ratio = if raw.events_per_s > 0.0 { figures.events_per_s / raw.events_per_s } else { 0.0 };
        Self { bench, figures, raw, raw_is: raw_is.into(), ratio, extra_figures: serde_json::Map::new() }
    }

    /// Adds a figure of this benchmark alone.
    #[must_use]
    pub fn with_figure(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.extra_figures.insert(name.to_owned(), value.into());
        self
    }
}
