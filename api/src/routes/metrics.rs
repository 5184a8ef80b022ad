//! Prometheus metrics.

use std::time::Duration;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use telemetry::{METRIC_GROUPS, MetricKind};

use super::HttpState;

/// Upper bounds of the duration buckets, in seconds.
const DURATION_BUCKETS_S: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The same of what may take minutes. 300 s is the objective of freshness.
const DELAY_BUCKETS_S: [f64; 14] =
    [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0];

/// The metrics with these buckets.
const DELAYS: [&str; 5] = [
    "medhub_projection_delay_seconds",
    "medhub_task_attempt_duration_seconds",
    "medhub_job_seconds",
    "medhub_text_generation_seconds",
    "medhub_websocket_duration_seconds",
];

/// Interval in which the exporter processes recorded samples.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Installs the recorder of this process's metrics, which `/metrics` renders with the meanings of the catalogue.
///
/// # Errors
/// [`BuildError`] when a recorder is installed already.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    let suffix = Matcher::Suffix("_seconds".to_owned());
    let mut builder = PrometheusBuilder::new().set_buckets_for_metric(suffix, &DURATION_BUCKETS_S)?;
    for name in DELAYS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), &DELAY_BUCKETS_S)?;
    }
    let handle = builder.install_recorder()?;
    describe_metrics();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP_INTERVAL);
        loop {
            ticks.tick().await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

fn describe_metrics() {
    for metric in METRIC_GROUPS.iter().flat_map(|group| group.metrics) {
        match metric.kind {
            MetricKind::Counter => describe_counter!(metric.name, metric.help),
            MetricKind::Gauge => describe_gauge!(metric.name, metric.help),
            MetricKind::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
}

/// The route of a process that has no other of ours.
pub fn metrics_route(handle: PrometheusHandle) -> Router {
    Router::new().route("/metrics", get(async move || text_response(&handle)))
}

fn text_response(metrics: &PrometheusHandle) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render()).into_response()
}

/// Renders all metrics in Prometheus' text format.
pub(super) async fn render_metrics(State(state): State<HttpState>) -> Response {
    match &state.metrics {
        Some(metrics) => text_response(metrics),
        None => (StatusCode::NOT_FOUND, "this process records no metrics\n").into_response(),
    }
}
