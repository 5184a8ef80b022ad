//! What a query of Prometheus names: metrics, and labels of them. Read well enough for the queries here, not as a parser would.

use std::collections::BTreeSet;

use tests::MetricTable;

/// Metrics of the mesh's sidecars, which are not ours.
const MESH_METRICS: [&str; 2] = ["istio_requests_total", "istio_request_duration_milliseconds_bucket"];

/// Series that Prometheus makes.
const OWN_SERIES: [&str; 2] = ["up", "ALERTS"];

/// Labels that Prometheus or its operator sets.
const OWN_LABELS: [&str; 6] = ["app", "instance", "job", "namespace", "pod", "le"];

/// Words before a list of labels.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words that are neither a metric nor, where a parenthesis follows, a function.
const KEYWORDS: [&str; 17] = [
    "and", "or", "unless", "bool", "offset", "sum", "max", "min", "avg", "count", "topk", "bottomk", "quantile",
    "stddev", "group", "inf", "nan",
];

/// The metrics and labels in a query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MetricQuery {
    /// Each series, and the labels that select it.
    pub(super) series: Vec<(String, Vec<String>)>,
    /// The labels that results are grouped or joined by.
    grouping: Vec<String>,
}

impl MetricQuery {
    /// Reads a query.
    pub(super) fn parse(query: &str) -> Self {
        let (mut found, mut rest, mut lists_labels) = (Self::default(), query, false);
        while let Some(first) = rest.chars().next() {
            if first.is_ascii_digit() {
                rest = rest.trim_start_matches(|char: char| char.is_ascii_alphanumeric() || char == '.');
            } else if is_name_char(first) {
                let length = rest.find(|char: char| !is_name_char(char)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(length);
                rest = after;
                if lists_labels {
                    found.grouping.push(word.to_owned());
                } else if GROUPINGS.contains(&word) {
                    lists_labels = true;
                } else if !KEYWORDS.contains(&word) && !after.trim_start().starts_with('(') {
                    found.series.push((word.to_owned(), vec![]));
                }
            } else {
                match first {
                    ')' => lists_labels = false,
                    // A range, which may have a unit.
                    '[' => rest = rest.split_once(']').map_or("", |(_, after)| after),
                    '{' => {
                        let (matchers, after) = split_matchers(&rest[1..]);
                        if let Some((_, labels)) = found.series.last_mut() {
                            labels.extend(matchers);
                        }
                        rest = after;
                    }
                    _ => {}
                }
                rest = rest.strip_prefix(first).unwrap_or(rest);
            }
        }
        found
    }

    /// What it names and does not exist. `recorded` are the names of recording rules.
    pub(super) fn find_problems(&self, table: &MetricTable, recorded: &BTreeSet<String>) -> Vec<String> {
        let (mut problems, mut known) = (vec![], BTreeSet::from(OWN_LABELS.map(str::to_owned)));
        for (name, labels) in &self.series {
            if MESH_METRICS.contains(&name.as_str()) {
                known.extend(labels.iter().cloned());
                continue;
            }
            let own = if let Some(metric) = table.find_series(name) {
                metric.labels.clone()
            } else if recorded.contains(name) {
                table.labels().into_iter().map(str::to_owned).collect()
            } else if OWN_SERIES.contains(&name.as_str()) {
                BTreeSet::from(["alertstate", "alertname"].map(str::to_owned))
            } else {
                problems.push(format!("{name} does not exist"));
                continue;
            };
            let unknown = labels.iter().filter(|label| !own.contains(*label) && !OWN_LABELS.contains(&label.as_str()));
            problems.extend(unknown.map(|label| format!("{name} has no label {label}")));
            known.extend(own);
        }
        let unknown = self.grouping.iter().filter(|label| !known.contains(*label));
        problems.extend(unknown.map(|label| format!("nothing has the label {label}")));
        problems
    }
}

fn is_name_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == ':'
}

/// The labels in the braces that begin before the text, and what follows them.
fn split_matchers(text: &str) -> (Vec<String>, &str) {
    let (mut labels, mut rest) = (vec![], text);
    loop {
        let label = rest.split(|char: char| !is_name_char(char)).next().unwrap_or_default();
        // A matcher ends with the second quotation mark.
        let mut parts = rest.splitn(3, '"');
        let (Some(_name), Some(_value), Some(after)) = (parts.next(), parts.next(), parts.next()) else {
            return (labels, "");
        };
        labels.push(label.to_owned());
        match after.trim_start().strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return (labels, after.trim_start().strip_prefix('}').unwrap_or(after)),
        }
    }
}

#[test]
fn metrics_and_labels_of_a_query_are_found() {
    let query = MetricQuery::parse(
        "histogram_quantile(0.95, sum by (le, app) (rate(a_bucket{x=\"1}\",y=~\"2|3\"}[5m]))) / on (z) max(b:c) > 1e3 or vector(0)",
    );
    let series = [("a_bucket", vec!["x", "y"]), ("b:c", vec![])];
    let series = series.map(|(name, labels)| (name.to_owned(), labels.into_iter().map(str::to_owned).collect()));
    assert_eq!(query, MetricQuery { series: series.into(), grouping: ["le", "app", "z"].map(str::to_owned).into() });
}

#[test]
fn what_does_not_exist_is_noticed() {
    let problems = |query: &str| {
        let recorded = BTreeSet::from(["app:requests".to_owned()]);
        MetricQuery::parse(query).find_problems(&MetricTable::read(), &recorded)
    };
    assert_eq!(problems("max by (projection) (medhub_projection_up{app=\"x\"}) + app:requests"), Vec::<String>::new());
    assert_eq!(problems("rate(medhub_nothing_total[5m])"), ["medhub_nothing_total does not exist"]);
    assert_eq!(problems("medhub_job_seconds"), ["medhub_job_seconds does not exist"], "a histogram has no such series");
    assert_eq!(problems("medhub_relay_leading{kind=\"x\"}"), ["medhub_relay_leading has no label kind"]);
    assert_eq!(problems("sum by (kind) (medhub_relay_leading)"), ["nothing has the label kind"]);
    assert_eq!(problems("app:nothing"), ["app:nothing does not exist"]);
}
