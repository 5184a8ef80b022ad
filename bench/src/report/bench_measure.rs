//! One measured value with its raw limit, its latencies and the spread over repetitions.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AskedValue, MeasuredFigure, ValueRange, number_format::format_number};
use crate::BenchFigures;

/// Unit of a value; it also says whether more is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeasureUnit {
    /// Events per second.
    #[serde(rename = "events/s")]
    EventsPerSecond,
    /// Requests per second.
    #[serde(rename = "requests/s")]
    RequestsPerSecond,
    /// Milliseconds.
    #[serde(rename = "ms")]
    Milliseconds,
    /// Mebibytes.
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Busy cores, on average.
    #[serde(rename = "cores")]
    Cores,
}

impl MeasureUnit {
    /// Returns the unit as reports print it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::EventsPerSecond => "events/s",
            Self::RequestsPerSecond => "requests/s",
            Self::Milliseconds => "ms",
            Self::Mebibytes => "MiB",
            Self::Cores => "cores",
        }
    }

    /// Whether a higher value is better.
    pub fn is_rate(self) -> bool {
        matches!(self, Self::EventsPerSecond | Self::RequestsPerSecond)
    }
}

/// Percentiles of a latency, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatencyPercentiles {
    /// Median.
    pub p50_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

/// One repetition of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeasureRepetition {
    /// The value of the product.
    pub value: f64,
    /// The value of the raw limit in the same repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<f64>,
    /// Latencies of single events or requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyPercentiles>,
    /// CPU time of the measuring process per event, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<f64>,
}

impl MeasureRepetition {
    /// Creates a repetition that has only a value.
    pub fn from_value(value: f64) -> Self {
        Self { value, raw: None, latency: None, cpu_us: None }
    }

    /// Creates a repetition from the throughput of `figures`, and of the raw limit if there is one.
    #[expect(clippy::cast_precision_loss, reason = "figures are for reading")]
    pub fn from_figures(figures: &BenchFigures, raw: Option<&BenchFigures>) -> Self {
        let latency = figures.p50_ms.zip(figures.p99_ms);
        Self {
            value: figures.events_per_s,
            raw: raw.map(|raw| raw.events_per_s),
            latency: latency.map(|(p50_ms, p99_ms)| LatencyPercentiles { p50_ms, p99_ms }),
            cpu_us: (figures.events > 0 && figures.cpu_s > 0.0).then(|| figures.cpu_s * 1e6 / figures.events as f64),
        }
    }

    fn replace_non_finite(self) -> Self {
        let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
        Self {
            value: finite(self.value),
            raw: self.raw.map(finite),
            latency: self
                .latency
                .map(|latency| LatencyPercentiles { p50_ms: finite(latency.p50_ms), p99_ms: finite(latency.p99_ms) }),
            cpu_us: self.cpu_us.map(finite),
        }
    }
}

/// The raw limit: the least equivalent work without the product, in the same run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawLimit {
    /// Describes it.
    pub description: String,
    /// Its median value, in the unit of the measure.
    pub value: f64,
}

/// A measured value: the common result of all benchmarks. Each figure is the median over the repetitions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BenchMeasure {
    /// Name: the benchmark, then what it measured, as in `rebuild/views`.
    pub name: String,
    /// Unit of the value.
    pub unit: MeasureUnit,
    /// The value of the product.
    pub value: f64,
    /// The raw limit, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawLimit>,
    /// Share of the raw limit that is reached. More is better also if the unit is a time. It is the median of the
    /// repetitions' shares, so it differs a little from the medians' quotient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Latencies of single events or requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyPercentiles>,
    /// CPU time of the measuring process per event, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<f64>,
    /// Values that it is to reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<AskedValue>,
    /// Sizes and rates of the measurement.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, Value>,
    /// The repetitions.
    pub repetitions: Vec<MeasureRepetition>,
}

impl BenchMeasure {
    /// Creates a measure from its repetitions.
    pub fn new(name: impl Into<String>, unit: MeasureUnit, repetitions: Vec<MeasureRepetition>) -> Self {
        let repetitions = repetitions.into_iter().map(MeasureRepetition::replace_non_finite).collect();
        let mut measure = Self {
            name: name.into(),
            unit,
            value: 0.0,
            raw: None,
            ratio: None,
            latency: None,
            cpu_us: None,
            asked: vec![],
            settings: BTreeMap::new(),
            repetitions,
        };
        measure.compute_medians("");
        measure
    }

    /// Describes the raw limit, whose values are in the repetitions.
    #[must_use]
    pub fn with_raw_limit(mut self, description: &str) -> Self {
        self.compute_medians(description);
        self
    }

    /// Adds a setting of the measurement.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Joins measures of the same name to one with all their repetitions, in the order of their first occurrence.
    pub fn merge_repetitions(measures: impl IntoIterator<Item = Self>) -> Vec<Self> {
        let mut merged: Vec<Self> = vec![];
        for measure in measures {
            match merged.iter_mut().find(|earlier| earlier.name == measure.name && earlier.unit == measure.unit) {
                None => merged.push(measure),
                Some(earlier) => {
                    earlier.repetitions.extend(measure.repetitions);
                    let description = earlier.raw.take().map(|raw| raw.description).unwrap_or_default();
                    earlier.compute_medians(&description);
                }
            }
        }
        merged
    }

    /// Returns a figure with its range; `None` if it was not measured.
    pub fn figure(&self, figure: MeasuredFigure) -> Option<ValueRange> {
        let values = self.repetitions.iter().map(|repetition| match figure {
            MeasuredFigure::Value => Some(repetition.value),
            MeasuredFigure::Ratio => self.share_of_raw(repetition),
            MeasuredFigure::P99 => repetition.latency.map(|latency| latency.p99_ms),
        });
        ValueRange::from_values(values.collect::<Option<Vec<_>>>()?)
    }

    /// Whether a higher value of the figure is better.
    pub fn is_higher_better(&self, figure: MeasuredFigure) -> bool {
        match figure {
            MeasuredFigure::Ratio => true,
            MeasuredFigure::P99 => false,
            MeasuredFigure::Value => self.unit.is_rate(),
        }
    }

    /// Whether an asked value is reached; `None` if its figure was not measured.
    pub fn is_reached(&self, asked: AskedValue) -> Option<bool> {
        let seen = self.figure(asked.figure)?.median;
        Some(if self.is_higher_better(asked.figure) { seen >= asked.value } else { seen <= asked.value })
    }

    fn share_of_raw(&self, repetition: &MeasureRepetition) -> Option<f64> {
        let raw = repetition.raw.filter(|&raw| raw > 0.0)?;
        let value = Some(repetition.value).filter(|&value| value > 0.0)?;
        Some(if self.unit.is_rate() { value / raw } else { raw / value })
    }

    fn compute_medians(&mut self, raw_description: &str) {
        let median = |values: Vec<f64>| ValueRange::from_values(values).map(|range| range.median);
        let collect = |figure: fn(&MeasureRepetition) -> Option<f64>| -> Option<f64> {
            median(self.repetitions.iter().filter_map(figure).collect())
        };
        self.value = collect(|repetition| Some(repetition.value)).unwrap_or_default();
        let raw = collect(|repetition| repetition.raw);
        let p50 = collect(|repetition| repetition.latency.map(|latency| latency.p50_ms));
        let p99 = collect(|repetition| repetition.latency.map(|latency| latency.p99_ms));
        let cpu_us = collect(|repetition| repetition.cpu_us);
        self.raw = raw.map(|value| RawLimit { description: raw_description.to_owned(), value });
        self.latency = p50.zip(p99).map(|(p50_ms, p99_ms)| LatencyPercentiles { p50_ms, p99_ms });
        self.cpu_us = cpu_us;
        self.ratio = self.figure(MeasuredFigure::Ratio).map(|range| range.median);
    }
}

/// One line for people: value, share of the raw limit, latency, and what is asked.
impl fmt::Display for BenchMeasure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} {}", self.name, format_number(self.value), self.unit.symbol())?;
        if let Some((ratio, raw)) = self.ratio.zip(self.raw.as_ref()) {
            write!(formatter, ", {} of the raw limit {}", format_number(ratio), format_number(raw.value))?;
        }
        if let Some(latency) = self.latency {
            let (p50, p99) = (format_number(latency.p50_ms), format_number(latency.p99_ms));
            write!(formatter, ", p50 {p50} ms, p99 {p99} ms")?;
        }
        for &asked in &self.asked {
            let (figure, value) = (asked.figure.name(), format_number(asked.value));
            let reached = if self.is_reached(asked) == Some(true) { "reached" } else { "not reached" };
            write!(formatter, "; {figure} {value} asked, {reached}")?;
        }
        Ok(())
    }
}
