//! The metrics of the service: their names, types, labels and meanings. `docs/metrics.md` is written from this list, and
//! `/metrics` shows the meanings.
//!
//! Names follow Prometheus: base units, `_total` for counters. Where OpenTelemetry's conventions have a name for exactly
//! the same thing, it is that one; all others begin with `medhub_`. A label has few values, all of them known to the
//! program: never an id, a path, an address or a name that a client chooses.

mod business;
mod edges;
mod pipeline;
mod resources;
mod work;

use std::fmt::Write as _;

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// A sum that only grows until the process ends.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// A distribution, with buckets.
    Histogram,
}

impl MetricKind {
    /// Its name in Prometheus' text format.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricDefinition {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// Its labels, without the labels that Prometheus adds.
    pub labels: &'static [&'static str],
    /// What it measures.
    pub help: &'static str,
}

/// Metrics of one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricGroup {
    /// The subject, a heading.
    pub title: &'static str,
    /// The metrics.
    pub metrics: &'static [MetricDefinition],
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricDefinition {
    MetricDefinition { name, kind: MetricKind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricDefinition {
    MetricDefinition { name, kind: MetricKind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> MetricDefinition {
    MetricDefinition { name, kind: MetricKind::Histogram, labels, help }
}

/// All metrics, by subject.
pub const METRIC_GROUPS: [MetricGroup; 10] = [
    edges::REQUESTS,
    edges::INGEST,
    pipeline::COMMANDS,
    pipeline::RELAY,
    pipeline::PROJECTIONS,
    work::WORK,
    work::MAIL_AND_JOBS,
    resources::RESOURCES,
    business::BUSINESS,
    business::GENERATION,
];

const INTRODUCTION: &str = "# Metrics

What `/metrics` of each role has, and what a collector receives by OTLP. Written by `MEDHUB_RECORD=1 cargo test --workspace --lib recorded` from the list in the
crate `telemetry`; a test fails when they differ, and others when a process shows a metric that is not listed here, or a dashboard or rule
names one. A metric appears once it has a value, so each role has a part of these. Histograms have the suffixes `_bucket`, `_sum` and
`_count`. Prometheus adds the labels `app`, `job` and `instance`.
";

/// The page `docs/metrics.md`.
pub fn metric_table() -> String {
    let mut page = INTRODUCTION.to_owned();
    for group in METRIC_GROUPS {
        let _infallible =
            write!(page, "\n## {}\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n", group.title);
        for metric in group.metrics {
            let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let (name, kind, labels, help) = (metric.name, metric.kind.name(), labels.join(", "), metric.help);
            let _infallible = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn the_table_of_metrics_is_recorded() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
        if std::env::var_os("MEDHUB_RECORD").is_some() {
            fs::write(&page, metric_table()).unwrap();
        }
        let recorded = fs::read_to_string(&page).unwrap_or_default();
        assert_eq!(
            recorded,
            metric_table(),
            "docs/metrics.md is outdated; write it again: MEDHUB_RECORD=1 cargo test --workspace --lib recorded"
        );
    }

    #[test]
    fn names_follow_the_conventions_and_are_unique() {
        let mut names = BTreeSet::new();
        for metric in METRIC_GROUPS.iter().flat_map(|group| group.metrics) {
            let name = metric.name;
            assert!(names.insert(name), "{name} is listed twice");
            assert!(
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{name}"
            );
            assert_eq!(name.ends_with("_total"), metric.kind == MetricKind::Counter, "{name}");
            let is_histogram = metric.kind == MetricKind::Histogram;
            assert!(!is_histogram || name.ends_with("_seconds"), "only buckets of seconds are set: {name}");
            for unit in ["_ms", "_millis", "_milliseconds", "_minutes", "_kb"] {
                assert!(!name.ends_with(unit), "{name} has no base unit");
            }
            let known = ["medhub_", "http_server_", "rpc_server_", "db_client_", "process_"];
            assert!(known.iter().any(|prefix| name.starts_with(prefix)), "{name}");
            // Prometheus sets these of its own.
            assert!(!metric.labels.iter().any(|label| ["app", "job", "instance", "le"].contains(label)), "{name}");
            // What would break a row of the table or a line of the text format.
            assert!(!metric.help.contains(['|', '\n', '\\']) && !metric.help.ends_with('.'), "{name}");
        }
    }
}
