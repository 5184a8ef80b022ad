//! The values that are asked of the product, by measure; `docs/benchmarks.md` lists them.

use super::{AskedValue, MeasuredFigure};

/// Measure, figure, and the value that it is to reach on a machine with two cores, engines and caller included.
const ASKED_VALUES: &[(&str, MeasuredFigure, f64)] = &[
    ("append/commands", MeasuredFigure::Ratio, 3.0),
    ("relay/publish", MeasuredFigure::Ratio, 0.95),
    ("relay/commit-to-kafka", MeasuredFigure::P99, 10.0),
    ("project/analytics", MeasuredFigure::Ratio, 0.8),
    ("project/views", MeasuredFigure::Ratio, 0.5),
    ("rebuild/analytics", MeasuredFigure::Ratio, 0.9),
    ("rebuild/search", MeasuredFigure::Ratio, 0.9),
    ("rebuild/search", MeasuredFigure::Value, 10_000.0),
    ("rebuild/views", MeasuredFigure::Ratio, 0.6),
    ("latency/analytics", MeasuredFigure::P99, 100.0),
    ("latency/search", MeasuredFigure::P99, 100.0),
    ("latency/views", MeasuredFigure::P99, 30.0),
    ("idle/machine", MeasuredFigure::Value, 0.05),
    ("api/list", MeasuredFigure::P99, 10.0),
    ("api/list-steady", MeasuredFigure::P99, 20.0),
    ("api/analytics", MeasuredFigure::P99, 10.0),
    ("api/search", MeasuredFigure::Value, 300.0),
    ("api/search", MeasuredFigure::P99, 25.0),
    ("api/mutation", MeasuredFigure::Ratio, 0.6),
    ("api/ingest-batch", MeasuredFigure::Value, 60_000.0),
    ("api/ingest-batch", MeasuredFigure::P99, 100.0),
];

/// Returns the values that are asked of a measure.
pub(super) fn find_asked_values(measure: &str) -> Vec<AskedValue> {
    let of_measure = ASKED_VALUES.iter().filter(|(name, ..)| *name == measure);
    of_measure.map(|&(_, figure, value)| AskedValue { figure, value }).collect()
}
