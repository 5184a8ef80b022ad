//! Reads what `/metrics` shows, in Prometheus' text format as the recorder of this process writes it.

use std::mem;

use crate::metric_catalogue::MetricKind;

/// A metric with all its series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShownMetric {
    pub(crate) name: String,
    /// What it measures; empty if that is not shown.
    pub(crate) help: String,
    pub(crate) points: MetricPoints,
}

/// The series of a metric, by its type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MetricPoints {
    Counter(Vec<MetricPoint<u64>>),
    Gauge(Vec<MetricPoint<f64>>),
    Histogram(Vec<MetricPoint<HistogramValue>>),
}

/// A series and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MetricPoint<T> {
    /// The labels, without `le`.
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) value: T,
}

/// The value of a histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HistogramValue {
    /// Upper bounds of the buckets but the last, which has none.
    pub(crate) bounds: Vec<f64>,
    /// How many values are at most that bound.
    pub(crate) cumulative_counts: Vec<u64>,
    pub(crate) sum: f64,
    pub(crate) count: u64,
}

/// What a text has.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ShownMetrics {
    pub(crate) metrics: Vec<ShownMetric>,
    /// The first line of each metric that is not understood: these metrics are left out.
    pub(crate) unreadable_lines: Vec<String>,
}

/// Reads all counters, gauges and histograms; other types are left out.
pub(crate) fn parse_metrics(text: &str) -> ShownMetrics {
    let mut shown = ShownMetrics::default();
    let mut reader = MetricReader::default();
    for line in text.lines().filter(|line| !line.is_empty()) {
        if reader.read_line(line, &mut shown.metrics).is_none() {
            shown.unreadable_lines.push(line.to_owned());
            reader = MetricReader::default();
        }
    }
    shown.metrics.extend(reader.metric);
    shown
}

/// What was read of the current metric.
#[derive(Default)]
struct MetricReader {
    /// The name and text of the last `HELP`, which comes before the type.
    help: (String, String),
    /// `None` before the first metric, and within one of another type.
    metric: Option<ShownMetric>,
    /// What was read of the current series of a histogram.
    histogram: HistogramValue,
}

impl MetricReader {
    /// Reads a line; adds the metric that it ends to `finished`. `None` if the line is not understood.
    fn read_line(&mut self, line: &str, finished: &mut Vec<ShownMetric>) -> Option<()> {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').unwrap_or((help, ""));
            self.help = (name.to_owned(), text.to_owned());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ')?;
            finished.extend(self.start_metric(name, kind));
        } else if let Some(metric) = &mut self.metric {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = parse_series(series)?;
            add_value(metric, &mut self.histogram, name, labels, value)?;
        }
        Some(())
    }

    /// Starts a metric, and returns the one before it.
    fn start_metric(&mut self, name: &str, kind: &str) -> Option<ShownMetric> {
        let ours = [MetricKind::Counter, MetricKind::Gauge, MetricKind::Histogram];
        let points = ours.into_iter().find(|known| known.name() == kind).map(|kind| match kind {
            MetricKind::Counter => MetricPoints::Counter(vec![]),
            MetricKind::Gauge => MetricPoints::Gauge(vec![]),
            MetricKind::Histogram => MetricPoints::Histogram(vec![]),
        });
        let (help_name, help) = mem::take(&mut self.help);
        let help = if help_name == name { help } else { String::new() };
        let metric = points.map(|points| ShownMetric { name: name.to_owned(), help, points });
        mem::replace(&mut self.metric, metric)
    }
}

/// Adds the value of a line to its metric. A series of a histogram has lines for its buckets, its sum and then its count.
fn add_value(
    metric: &mut ShownMetric,
    histogram: &mut HistogramValue,
    name: &str,
    mut labels: Vec<(String, String)>,
    value: &str,
) -> Option<()> {
    match &mut metric.points {
        MetricPoints::Counter(points) => points.push(MetricPoint { labels, value: value.parse().ok()? }),
        MetricPoints::Gauge(points) => points.push(MetricPoint { labels, value: value.parse().ok()? }),
        MetricPoints::Histogram(points) => match name.strip_prefix(metric.name.as_str())? {
            "_bucket" => {
                let le = labels.iter().position(|(label, _)| label == "le")?;
                let (_, bound) = labels.swap_remove(le);
                // The last bucket has all values: the count says how many.
                if bound != "+Inf" {
                    histogram.bounds.push(bound.parse().ok()?);
                    histogram.cumulative_counts.push(value.parse().ok()?);
                }
            }
            "_sum" => histogram.sum = value.parse().ok()?,
            "_count" => {
                histogram.count = value.parse().ok()?;
                points.push(MetricPoint { labels, value: mem::take(histogram) });
            }
            _ => return None,
        },
    }
    Some(())
}

/// The name and the labels of a series: `name` or `name{label="value",...}`.
fn parse_series(series: &str) -> Option<(&str, Vec<(String, String)>)> {
    let Some((name, mut rest)) = series.split_once('{') else { return Some((series, vec![])) };
    let mut labels = vec![];
    while rest != "}" {
        let (label, quoted) = rest.split_once("=\"")?;
        let (value, after) = take_quoted(quoted)?;
        labels.push((label.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    Some((name, labels))
}

/// Splits off the rest of a text in quotation marks, without its escapes, from what follows it.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(match characters.next()? {
                'n' => '\n',
                escaped => escaped,
            }),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn every_type_is_read_with_its_labels_and_its_meaning() {
        let text = "# HELP a_total What is counted\n# TYPE a_total counter\na_total{x=\"1\",y=\"a \\\"b\\\", c\\\\\\n\"} 9007199254740993\n\
            a_total 0\n\n# TYPE b gauge\nb -1.5\n\n# TYPE s summary\ns{quantile=\"0\"} 1\ns_sum 1\n\n\
            # TYPE c_seconds histogram\nc_seconds_bucket{k=\"v\",le=\"0.5\"} 1\nc_seconds_bucket{k=\"v\",le=\"1\"} 3\n\
            c_seconds_bucket{k=\"v\",le=\"+Inf\"} 4\nc_seconds_sum{k=\"v\"} 7.25\nc_seconds_count{k=\"v\"} 4\n\n";
        let ShownMetrics { metrics, unreadable_lines } = parse_metrics(text);
        assert_eq!(unreadable_lines, Vec::<String>::new());
        let counter = vec![
            MetricPoint { labels: labels([("x", "1"), ("y", "a \"b\", c\\\n")]), value: 9_007_199_254_740_993 },
            MetricPoint { labels: vec![], value: 0 },
        ];
        let histogram = HistogramValue { bounds: vec![0.5, 1.0], cumulative_counts: vec![1, 3], sum: 7.25, count: 4 };
        let shown =
            |name: &str, help: &str, points| ShownMetric { name: name.to_owned(), help: help.to_owned(), points };
        assert_eq!(
            metrics,
            [
                shown("a_total", "What is counted", MetricPoints::Counter(counter)),
                shown("b", "", MetricPoints::Gauge(vec![MetricPoint { labels: vec![], value: -1.5 }])),
                shown(
                    "c_seconds",
                    "",
                    MetricPoints::Histogram(vec![MetricPoint { labels: labels([("k", "v")]), value: histogram }])
                ),
            ]
        );
    }

    #[test]
    fn a_metric_with_a_line_that_is_not_understood_is_left_out_and_named() {
        for line in ["a_total{x=\"1} 2", "a_total", "a_total 1.5", "a_total{x} 1"] {
            let text = format!("# TYPE a_total counter\na_total 1\n{line}\na_total 2\n# HELP b\n# TYPE b gauge\nb 1\n");
            let shown = parse_metrics(&text);
            let names: Vec<_> = shown.metrics.iter().map(|metric| metric.name.as_str()).collect();
            assert_eq!((names, shown.unreadable_lines), (vec!["b"], vec![line.to_owned()]));
        }
        assert_eq!(parse_metrics(""), ShownMetrics::default());
    }
}
