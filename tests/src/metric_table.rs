//! The table of metrics, `docs/metrics.md`, and the metrics that a process shows.

use std::collections::{BTreeMap, BTreeSet};

/// A row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentedMetric {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The labels that it may have.
    pub labels: BTreeSet<String>,
}

/// The rows of the table, by name.
#[derive(Debug, Clone)]
pub struct MetricTable(BTreeMap<String, DocumentedMetric>);

/// A line of what a process shows: a series with its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownSeries {
    /// The name, for a histogram with its suffix.
    pub name: String,
    /// The labels, by name.
    pub labels: BTreeMap<String, String>,
    /// The value, as it is written.
    pub value: String,
}

const HISTOGRAM_SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

impl MetricTable {
    /// Reads the table from the repository.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn read() -> Self {
        Self::parse(include_str!("../../docs/metrics.md"))
    }

    fn parse(page: &str) -> Self {
        let in_code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let rows = page.lines().filter(|line| line.starts_with("| `")).filter_map(|line| {
            let cells: Vec<_> = line.split(" | ").collect();
            let [name, kind, labels, _meaning] = cells.as_slice() else { return None };
            let name = name.trim_start_matches("| `").trim_end_matches('`').to_owned();
            Some((name, DocumentedMetric { kind: (*kind).to_owned(), labels: in_code(labels) }))
        });
        Self(rows.collect())
    }

    /// The names of all metrics.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All labels of all metrics.
    pub fn labels(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|metric| &metric.labels).map(String::as_str).collect()
    }

    /// The metric that a series belongs to. That of a histogram needs a suffix, all others have none.
    pub fn find_series(&self, series: &str) -> Option<&DocumentedMetric> {
        let is_histogram = |metric: &&DocumentedMetric| metric.kind == "histogram";
        let plain = self.0.get(series).filter(|metric| !is_histogram(metric));
        plain.or_else(|| {
            let base = HISTOGRAM_SUFFIXES.iter().find_map(|suffix| series.strip_suffix(suffix))?;
            self.0.get(base).filter(is_histogram)
        })
    }

    /// The metric with this name.
    pub fn find(&self, name: &str) -> Option<&DocumentedMetric> {
        self.0.get(name)
    }
}

/// The series in Prometheus' text format.
///
/// # Panics
/// If a line is none.
pub fn parse_series(text: &str) -> Vec<ShownSeries> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no series: {line}"));
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            ShownSeries { name: name.to_owned(), labels: parse_labels(labels), value: value.to_owned() }
        })
        .collect()
}

/// The labels of a series: `name="value",...}`. No value of ours has quotation marks.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let pairs = text.trim_end_matches('}').split("\",");
    pairs
        .filter_map(|pair| pair.split_once("=\""))
        .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_the_names_that_prometheus_stores() {
        let table =
            MetricTable::parse("| `a_total` | counter | `x`, `y` | See `b` |\n| `b_seconds` | histogram |  | . |\n");
        assert_eq!(table.find_series("a_total").unwrap().labels, ["x", "y"].map(str::to_owned).into());
        assert!(table.find_series("b_seconds_bucket").is_some() && table.find_series("b_seconds").is_none());
        assert!(table.find_series("a_total_sum").is_none() && table.find_series("c").is_none());
    }

    #[test]
    fn lines_of_the_text_format_are_read() {
        let series = parse_series("# TYPE a counter\na{x=\"1\",y=\"two, three\"} 4\n\nb 5\n");
        let labels = [("x", "1"), ("y", "two, three")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(series[0], ShownSeries { name: "a".to_owned(), labels: labels.into(), value: "4".to_owned() });
        assert_eq!((series[1].name.as_str(), series[1].labels.len(), series[1].value.as_str()), ("b", 0, "5"));
    }
}
