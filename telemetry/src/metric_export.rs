//! Sends the metrics of this process to a collector. They are those that `/metrics` shows, read from the same text, so that
//! both ways agree.

use std::{
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
    Client,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    metrics_request::{CountedTime, build_request},
    otlp_target::{check_url, describe_process},
    prometheus_text::{UnreadableMetric, parse_metrics},
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
    #[error("reading the metrics of this process")]
    Unreadable(#[from] UnreadableMetric),
    #[error("sending metrics to the collector")]
    Request(#[source] reqwest::Error),
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
        let request_timeout = read_variable("TIMEOUT").and_then(|milliseconds| milliseconds.parse().ok());
        let request_timeout = request_timeout.map_or(REQUEST_TIMEOUT, Duration::from_millis);
        let client = Client::builder().timeout(request_timeout).build().map_err(TelemetryError::Client)?;
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
        let mut failing = FailureLog::default();
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        ticks.tick().await;
        loop {
            let next_export = async {
                ticks.tick().await;
                self.export().await
            };
            tokio::select! {
                () = &mut stop => break,
                outcome = next_export => failing.log(outcome),
            }
        }
        match timeout(LAST_EXPORT_TIMEOUT, self.export()).await {
            Ok(outcome) => failing.log(outcome),
            Err(_elapsed) => tracing::warn!("the last metrics were not exported in time"),
        }
    }

    async fn export(&self) -> Result<(), MetricExportError> {
        let body = self.build_request()?.encode_to_vec();
        let request = self.client.post(&self.url).headers(self.headers.clone());
        let request = request.header(CONTENT_TYPE, "application/x-protobuf").body(body);
        let to_error = |error: reqwest::Error| MetricExportError::Request(error.without_url());
        let response = request.send().await.and_then(reqwest::Response::error_for_status).map_err(to_error)?;
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

    fn build_request(&self) -> Result<ExportMetricsServiceRequest, UnreadableMetric> {
        let metrics = parse_metrics(&(self.render)())?;
        let resource = Resource { attributes: self.resource.clone(), ..Resource::default() };
        Ok(build_request(metrics, resource, CountedTime::new(self.started_at, SystemTime::now())))
    }
}

/// Logs the first of several failures, and the end of them.
#[derive(Default)]
struct FailureLog {
    is_failing: bool,
}

impl FailureLog {
    fn log(&mut self, outcome: Result<(), MetricExportError>) {
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
