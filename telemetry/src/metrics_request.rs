//! The metrics of this process as a request by OTLP.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
        ScopeMetrics, Sum, metric::Data, number_data_point::Value,
    },
    resource::v1::Resource,
};

use crate::{
    otlp_target::INSTRUMENTATION,
    prometheus_text::{HistogramValue, MetricPoint, MetricPoints, ShownMetric},
};

/// Between which times the sums were counted, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CountedTime {
    start: u64,
    end: u64,
}

impl CountedTime {
    pub(crate) fn new(start: SystemTime, end: SystemTime) -> Self {
        let nanoseconds = |time: SystemTime| {
            let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
            u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
        };
        Self { start: nanoseconds(start), end: nanoseconds(end) }
    }
}

/// The request that sends `metrics`: sums since `time` began, with the names, labels and buckets that they are shown with.
pub(crate) fn build_request(
    metrics: Vec<ShownMetric>,
    resource: Resource,
    time: CountedTime,
) -> ExportMetricsServiceRequest {
    let metrics = metrics.into_iter().map(|metric| to_metric(metric, time)).collect();
    let scope = InstrumentationScope { name: INSTRUMENTATION.to_owned(), ..InstrumentationScope::default() };
    let of_scope = ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() };
    let of_resource =
        ResourceMetrics { resource: Some(resource), scope_metrics: vec![of_scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_resource] }
}

fn to_metric(metric: ShownMetric, time: CountedTime) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let unit = derive_unit(&metric.name).to_owned();
    let data = match metric.points {
        MetricPoints::Counter(points) => Data::Sum(Sum {
            data_points: points.into_iter().map(|point| to_number(point, time, to_integer)).collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        MetricPoints::Gauge(points) => Data::Gauge(Gauge {
            data_points: points.into_iter().map(|point| to_number(point, time, Value::AsDouble)).collect(),
        }),
        MetricPoints::Histogram(points) => Data::Histogram(Histogram {
            data_points: points.into_iter().map(|point| to_distribution(point, time)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric { name: metric.name, description: metric.help, unit, data: Some(data), ..Metric::default() }
}

/// The unit that a name ends with, as OpenTelemetry writes it; empty for numbers of things. With the unit `1`, stores that
/// follow Prometheus would add to the name.
fn derive_unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    [("_seconds", "s"), ("_bytes", "By")]
        .into_iter()
        .find_map(|(suffix, unit)| name.ends_with(suffix).then_some(unit))
        .unwrap_or_default()
}

/// A counter beyond the protocol's integers loses its last digits.
#[expect(clippy::cast_precision_loss, reason = "the protocol has no larger integers")]
fn to_integer(counted: u64) -> Value {
    i64::try_from(counted).map_or(Value::AsDouble(counted as f64), Value::AsInt)
}

fn to_number<T>(point: MetricPoint<T>, time: CountedTime, to_value: impl Fn(T) -> Value) -> NumberDataPoint {
    NumberDataPoint {
        attributes: to_attributes(point.labels),
        start_time_unix_nano: time.start,
        time_unix_nano: time.end,
        value: Some(to_value(point.value)),
        ..NumberDataPoint::default()
    }
}

fn to_distribution(point: MetricPoint<HistogramValue>, time: CountedTime) -> HistogramDataPoint {
    let HistogramValue { bounds, cumulative_counts, sum, count } = point.value;
    let mut below = 0;
    let bucket_counts = cumulative_counts.into_iter().chain([count]).map(|cumulative| {
        let in_bucket = cumulative.saturating_sub(below);
        below = cumulative;
        in_bucket
    });
    HistogramDataPoint {
        attributes: to_attributes(point.labels),
        start_time_unix_nano: time.start,
        time_unix_nano: time.end,
        count,
        sum: Some(sum),
        bucket_counts: bucket_counts.collect(),
        explicit_bounds: bounds,
        ..HistogramDataPoint::default()
    }
}

fn to_attributes(labels: Vec<(String, String)>) -> Vec<KeyValue> {
    let to_attribute = |(key, value)| KeyValue {
        key,
        value: Some(AnyValue { value: Some(any_value::Value::StringValue(value)) }),
        ..KeyValue::default()
    };
    labels.into_iter().map(to_attribute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prometheus_text::parse_metrics;

    #[test]
    fn sums_and_distributions_are_those_that_are_shown() {
        let text = "# TYPE a_total counter\na_total{k=\"v\"} 3\n\n# TYPE b_bytes gauge\nb_bytes 2\n\n# TYPE c_seconds histogram\n\
            c_seconds_bucket{le=\"0.5\"} 1\nc_seconds_bucket{le=\"1\"} 3\nc_seconds_bucket{le=\"+Inf\"} 4\n\
            c_seconds_sum 7.25\nc_seconds_count 4\n";
        let time = CountedTime::new(UNIX_EPOCH + Duration::from_nanos(5), UNIX_EPOCH + Duration::from_nanos(9));
        let request = build_request(parse_metrics(text).metrics, Resource::default(), time);
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<_> = metrics.iter().map(|metric| (metric.name.as_str(), metric.unit.as_str())).collect();
        assert_eq!(names, [("a_total", ""), ("b_bytes", "By"), ("c_seconds", "s")]);
        let [Some(Data::Sum(sum)), Some(Data::Gauge(gauge)), Some(Data::Histogram(histogram))] =
            [&metrics[0].data, &metrics[1].data, &metrics[2].data]
        else {
            panic!("{metrics:?}")
        };
        assert!(sum.is_monotonic && sum.aggregation_temporality == AggregationTemporality::Cumulative as i32);
        let [counted] = &sum.data_points[..] else { panic!("{sum:?}") };
        assert_eq!(
            (counted.value, counted.start_time_unix_nano, counted.time_unix_nano),
            (Some(Value::AsInt(3)), 5, 9)
        );
        assert_eq!(counted.attributes[0].key, "k");
        assert_eq!(gauge.data_points[0].value, Some(Value::AsDouble(2.0)));
        let [distribution] = &histogram.data_points[..] else { panic!("{histogram:?}") };
        assert_eq!((&distribution.explicit_bounds, &distribution.bucket_counts), (&vec![0.5, 1.0], &vec![1, 2, 1]));
        assert_eq!((distribution.count, distribution.sum), (4, Some(7.25)));
    }
}
