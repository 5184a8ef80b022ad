//! Sends the metrics of this process to a collector. They are those that `/metrics` shows, read from the same text, so that
//! both ways agree.

use std::{
    collections::BTreeSet,
    fmt,
    pin::pin,
    str::FromStr,
    time::{Duration, SystemTime},
};

use opentelemetry_proto::{
    tonic::{
        collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        common::v1::KeyValue,
        resource::v1::Resource,
    },
    transform::common::tonic::ResourceAttributesWithSchema,
};
use percent_encoding::percent_decode_str;
use prost::Message as _;
use reqwest::{
    Client, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    metrics_request::{CountedTime, build_request},
    otlp_target::{check_url, describe_process},
    prometheus_text::parse_metrics,
    telemetry_config::TelemetryConfig,
    telemetry_error::TelemetryError,
};

/// Time for a request, unless `OTEL_EXPORTER_OTLP_TIMEOUT` sets another.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for the last export, at the end of the process.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why metrics were not exported. The next export has what this one would have had: all values are sums.
#[derive(Debug, thiserror::Error)]
enum MetricExportError {
    #[error("sending metrics to the collector")]
    Request(#[source] reqwest::Error),
    #[error("the collector has answered with status {0}")]
    Status(StatusCode),
    #[error("the collector has rejected {rejected} series: {reason}")]
    Rejected { rejected: i64, reason: String },
}

/// The export of this process's metrics.
pub struct MetricExport {
    client: Client,
    url: String,
    headers: HeaderMap,
    interval: Duration,
    resource: Vec<KeyValue>,
    started_at: SystemTime,
    render: Box<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for MetricExport {
    /// Without the URL and the headers, which may contain secrets.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MetricExport").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl MetricExport {
    /// Prepares the export of what `render` returns: Prometheus' text format, of a recorder that was just installed. `None`
    /// without an endpoint.
    ///
    /// # Errors
    /// [`TelemetryError`] when a setting is invalid.
    pub fn prepare(
        config: &TelemetryConfig,
        render: impl Fn() -> String + Send + Sync + 'static,
    ) -> Result<Option<Self>, TelemetryError> {
        let Some(url) = config.metrics_url() else { return Ok(None) };
        check_url(&url)?;
        let request_timeout = read_variable("TIMEOUT").and_then(|milliseconds| milliseconds.parse::<u64>().ok());
        let request_timeout = request_timeout.filter(|time| *time > 0).map_or(REQUEST_TIMEOUT, Duration::from_millis);
        // Another address does not get the headers, which may be credentials.
        let client = Client::builder().timeout(request_timeout).redirect(Policy::none());
        let client = client.build().map_err(TelemetryError::Client)?;
        Ok(Some(Self {
            client,
            url,
            headers: parse_headers(&read_variable("HEADERS").unwrap_or_default()),
            interval: config.metric_export_interval(),
            resource: ResourceAttributesWithSchema::from(&describe_process(config)).attributes.0,
            started_at: SystemTime::now(),
            render: Box::new(render),
        }))
    }

    /// Exports periodically until `stop`, and then once more. A collector that is away delays nothing.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut log = ExportLog::default();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        ticks.tick().await;
        loop {
            let next_export = async {
                ticks.tick().await;
                let (request, unreadable_lines) = self.build_request();
                (unreadable_lines, self.send(&request).await)
            };
            tokio::select! {
                () = &mut stop => break,
                (unreadable_lines, outcome) = next_export => {
                    log.add_unreadable(&unreadable_lines);
                    log.add_outcome(outcome);
                }
            }
        }
        let (request, _) = self.build_request();
        match timeout(LAST_EXPORT_TIMEOUT, self.send(&request)).await {
            Ok(outcome) => log.add_outcome(outcome),
            Err(_elapsed) => tracing::warn!("the last metrics were not exported in time"),
        }
    }

    async fn send(&self, metrics: &ExportMetricsServiceRequest) -> Result<(), MetricExportError> {
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(metrics.encode_to_vec());
        let to_error = |error: reqwest::Error| MetricExportError::Request(error.without_url());
        let response = request.send().await.map_err(to_error)?;
        if !response.status().is_success() {
            return Err(MetricExportError::Status(response.status()));
        }
        let answer = response.bytes().await.map_err(to_error)?;
        // Collectors that answer in another way have accepted all the same.
        let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
        match answer.partial_success {
            Some(partial) if partial.rejected_data_points > 0 => Err(MetricExportError::Rejected {
                rejected: partial.rejected_data_points,
                reason: partial.error_message,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The request with the current metrics, and a line of each metric that is not understood and so left out.
    fn build_request(&self) -> (ExportMetricsServiceRequest, Vec<String>) {
        let shown = parse_metrics(&(self.render)());
        let resource = Resource { attributes: self.resource.clone(), ..Resource::default() };
        let time = CountedTime::new(self.started_at, SystemTime::now());
        (build_request(shown.metrics, resource, time), shown.unreadable_lines)
    }
}

/// Logs the first of several failures, and the end of them; and once each metric that is not understood.
#[derive(Default)]
struct ExportLog {
    is_failing: bool,
    unreadable_metrics: BTreeSet<String>,
}

impl ExportLog {
    fn add_unreadable(&mut self, lines: &[String]) {
        for line in lines {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            if self.unreadable_metrics.insert(name.to_owned()) {
                tracing::warn!(metric = name, "a metric is not exported: its text is not understood");
            }
        }
    }

    fn add_outcome(&mut self, outcome: Result<(), MetricExportError>) {
        match (outcome, self.is_failing) {
            (Err(error), false) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "metrics cannot be exported");
            }
            (Err(error), true) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "metrics still cannot be exported");
                return;
            }
            (Ok(()), true) => tracing::info!("metrics are exported again"),
            (Ok(()), false) => return,
        }
        self.is_failing = !self.is_failing;
    }
}

/// The variable of OpenTelemetry for metrics, or the one for everything. The exporters of traces and logs read the same.
#[expect(clippy::disallowed_methods, reason = "the exporters of traces and logs read these variables, too")]
fn read_variable(name: &str) -> Option<String> {
    let of_metrics = std::env::var(format!("OTEL_EXPORTER_OTLP_METRICS_{name}"));
    of_metrics.or_else(|_missing| std::env::var(format!("OTEL_EXPORTER_OTLP_{name}"))).ok()
}

/// The headers in `name=value,...`, whose values may be percent-encoded. Invalid ones are left out, as by the exporters of
/// traces and logs.
fn parse_headers(text: &str) -> HeaderMap {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let headers = pairs.filter_map(|(name, value)| {
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_str(name.trim()).ok()?, value))
    });
    headers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_the_other_exporters_read_them() {
        let headers = parse_headers("authorization=Bearer%20a=b, x-tenant = acme ,invalid,sp ace=1");
        assert_eq!(headers["authorization"], "Bearer a=b");
        assert_eq!(headers["x-tenant"], "acme");
        assert_eq!(headers.len(), 2);
        assert!(parse_headers("").is_empty());
    }

    #[test]
    fn nothing_is_exported_without_an_endpoint_and_no_secret_is_shown() {
        assert!(matches!(MetricExport::prepare(&TelemetryConfig::default(), String::new), Ok(None)));
        let endpoint = |url: &str| TelemetryConfig { endpoint: url.to_owned(), ..TelemetryConfig::default() };
        let refused = MetricExport::prepare(&endpoint("http://ada:secret@collector:4318"), String::new).unwrap_err();
        assert!(matches!(refused, TelemetryError::UrlLogin), "{refused}");
        let export = MetricExport::prepare(&endpoint("http://collector/?key=secret"), String::new).unwrap();
        assert!(!format!("{export:?}").contains("secret"), "{export:?}");
    }
}
