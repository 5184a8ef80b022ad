//! Metrics that the collector has received, as the series that Prometheus has of them.

use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    metrics::v1::{HistogramDataPoint, Metric, NumberDataPoint, metric::Data, number_data_point::Value},
};

use super::attributes_by_name;
use crate::metric_table::ShownSeries;

/// The series of a metric: counters, gauges, and for histograms cumulative buckets, sums and counts.
pub(super) fn read_series(metric: &Metric) -> Vec<ShownSeries> {
    match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| read_number(&metric.name, point)).collect(),
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(|point| read_number(&metric.name, point)).collect(),
        Some(Data::Histogram(histogram)) => {
            histogram.data_points.iter().flat_map(|point| read_histogram(&metric.name, point)).collect()
        }
        other => panic!("{} is no metric of ours: {other:?}", metric.name),
    }
}

fn read_number(name: &str, point: &NumberDataPoint) -> ShownSeries {
    let value = match point.value {
        Some(Value::AsInt(number)) => number.to_string(),
        Some(Value::AsDouble(number)) => number.to_string(),
        None => String::new(),
    };
    to_series(name, &point.attributes, value)
}

fn read_histogram(name: &str, point: &HistogramDataPoint) -> Vec<ShownSeries> {
    let bounds = point.explicit_bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
    let mut cumulative = 0_u64;
    let mut series: Vec<_> = bounds
        .zip(&point.bucket_counts)
        .map(|(bound, count)| {
            cumulative += count;
            let mut bucket = to_series(&format!("{name}_bucket"), &point.attributes, cumulative.to_string());
            bucket.labels.insert("le".to_owned(), bound);
            bucket
        })
        .collect();
    series.push(to_series(&format!("{name}_sum"), &point.attributes, point.sum.unwrap_or_default().to_string()));
    series.push(to_series(&format!("{name}_count"), &point.attributes, point.count.to_string()));
    series
}

fn to_series(name: &str, attributes: &[KeyValue], value: String) -> ShownSeries {
    ShownSeries { name: name.to_owned(), labels: attributes_by_name(attributes), value }
}
