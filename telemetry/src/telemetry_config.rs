//! Whether and where traces, metrics and logs are exported.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` or `MEDHUB__TELEMETRY__ENDPOINT` | none | base URL of a collector that takes OTLP as Protobuf by HTTP, e.g. `http://127.0.0.1:4318`; without it nothing is recorded or sent |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `MEDHUB__TELEMETRY__TRACES_ENDPOINT` | `/v1/traces` of the base URL | the whole URL for traces |
//! | `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` or `MEDHUB__TELEMETRY__METRICS_ENDPOINT` | `/v1/metrics` of the base URL | the whole URL for metrics |
//! | `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT` or `MEDHUB__TELEMETRY__LOGS_ENDPOINT` | `/v1/logs` of the base URL | the whole URL for logs |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` or `MEDHUB__TELEMETRY__TRACES_EXPORTER` etc. | `otlp` | `none` does not export these; other names are ignored, with a warning |
//! | `OTEL_METRIC_EXPORT_INTERVAL` or `MEDHUB__TELEMETRY__METRIC_EXPORT_INTERVAL_MS` | `60000` | milliseconds between two exports of metrics |
//! | `OTEL_BLRP_MAX_QUEUE_SIZE` or `MEDHUB__TELEMETRY__LOG_QUEUE_SIZE` | `2048` | how many lines of the log wait to be sent before further ones are dropped |
//! | `OTEL_SERVICE_NAME` or `MEDHUB__TELEMETRY__SERVICE_NAME` | `medhub` | name of the service |
//! | `OTEL_TRACES_SAMPLER_ARG` or `MEDHUB__TELEMETRY__SAMPLE_RATIO` | `1` | share of the traces that begin here and are recorded, from 0 to 1; a trace that a caller has begun is recorded if the caller records it |
//! | `MEDHUB__TELEMETRY__CONTINUE_CLIENT_TRACES` | `false` | whether requests continue the traces of their `traceparent` headers: where a gateway sets them |
//!
//! The exporters themselves read `OTEL_EXPORTER_OTLP_HEADERS` (credentials of the collector), `OTEL_EXPORTER_OTLP_TIMEOUT`, both also
//! with `TRACES`, `METRICS` or `LOGS` in their names, `OTEL_RESOURCE_ATTRIBUTES` and the other variables of the batches, `OTEL_BSP_*`
//! and `OTEL_BLRP_*`. `OTEL_TRACES_SAMPLER`, `OTEL_SDK_DISABLED` and `OTEL_EXPORTER_OTLP_PROTOCOL` are not read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const WELL_KNOWN_VARIABLES: [(&str, &str); 11] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry.traces_endpoint"),
    ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "telemetry.metrics_endpoint"),
    ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "telemetry.logs_endpoint"),
    ("OTEL_TRACES_EXPORTER", "telemetry.traces_exporter"),
    ("OTEL_METRICS_EXPORTER", "telemetry.metrics_exporter"),
    ("OTEL_LOGS_EXPORTER", "telemetry.logs_exporter"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "telemetry.metric_export_interval_ms"),
    ("OTEL_BLRP_MAX_QUEUE_SIZE", "telemetry.log_queue_size"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.sample_ratio"),
];

/// The exporter that there is.
const OTLP: &str = "otlp";

/// What exports nothing, and what metrics have in any case.
const NO_EXPORTERS: [&str; 2] = ["none", "prometheus"];

/// Configuration of the export of traces, metrics and logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Base URL of the collector; if empty, only signals with their own endpoint are exported.
    pub endpoint: String,
    /// The whole URL for traces; empty derives it from `endpoint`.
    pub traces_endpoint: String,
    /// The whole URL for metrics; empty derives it from `endpoint`.
    pub metrics_endpoint: String,
    /// The whole URL for logs; empty derives it from `endpoint`.
    pub logs_endpoint: String,
    /// The exporters of traces, separated by commas: `otlp`, or `none`. Others are ignored, as OpenTelemetry asks for.
    pub traces_exporter: String,
    /// The exporters of metrics; `/metrics` has them in any case.
    pub metrics_exporter: String,
    /// The exporters of logs; standard error has them in any case.
    pub logs_exporter: String,
    /// Milliseconds between two exports of metrics.
    pub metric_export_interval_ms: u64,
    /// How many lines of the log wait to be sent before further ones are dropped; 0 counts as 1.
    pub log_queue_size: usize,
    /// Name of the service.
    pub service_name: String,
    /// Share of the traces that begin here and are recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Whether requests continue the traces that their clients name. A client that names a sampled trace has it
    /// recorded, regardless of the ratio and before it is authenticated: only for clients behind a gateway that sets
    /// the header.
    pub continue_client_traces: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            traces_endpoint: String::new(),
            metrics_endpoint: String::new(),
            logs_endpoint: String::new(),
            traces_exporter: OTLP.to_owned(),
            metrics_exporter: OTLP.to_owned(),
            logs_exporter: OTLP.to_owned(),
            metric_export_interval_ms: 60_000,
            log_queue_size: 2_048,
            service_name: "medhub".to_owned(),
            sample_ratio: 1.0,
            continue_client_traces: false,
        }
    }
}

impl TelemetryConfig {
    /// The environment variables of OpenTelemetry, and the settings that they override.
    pub fn well_known_variables() -> [(&'static str, &'static str); WELL_KNOWN_VARIABLES.len()] {
        WELL_KNOWN_VARIABLES
    }

    /// The URL that traces are sent to; `None` if they are not exported.
    pub fn traces_url(&self) -> Option<String> {
        self.signal_url(&self.traces_exporter, &self.traces_endpoint, "v1/traces")
    }

    /// The URL that metrics are sent to; `None` if they are not exported.
    pub fn metrics_url(&self) -> Option<String> {
        self.signal_url(&self.metrics_exporter, &self.metrics_endpoint, "v1/metrics")
    }

    /// The URL that logs are sent to; `None` if they are not exported.
    pub fn logs_url(&self) -> Option<String> {
        self.signal_url(&self.logs_exporter, &self.logs_endpoint, "v1/logs")
    }

    /// The names of exporters that do not exist here and are ignored, each with its setting.
    pub fn ignored_exporters(&self) -> Vec<(&'static str, &str)> {
        let settings = [
            ("telemetry.traces_exporter", self.traces_exporter.as_str()),
            ("telemetry.metrics_exporter", self.metrics_exporter.as_str()),
            ("telemetry.logs_exporter", self.logs_exporter.as_str()),
        ];
        let is_known = |name: &str| [OTLP].iter().chain(&NO_EXPORTERS).any(|known| name.eq_ignore_ascii_case(known));
        settings
            .into_iter()
            .flat_map(|(setting, names)| exporter_names(names).map(move |name| (setting, name)))
            .filter(|(_, name)| !is_known(name))
            .collect()
    }

    /// The time between two exports of metrics; 0 counts as 1 ms.
    pub(crate) fn metric_export_interval(&self) -> Duration {
        Duration::from_millis(self.metric_export_interval_ms.max(1))
    }

    fn signal_url(&self, exporters: &str, own_endpoint: &str, path: &str) -> Option<String> {
        if !exporter_names(exporters).any(|name| name.eq_ignore_ascii_case(OTLP)) {
            return None;
        }
        if !own_endpoint.is_empty() {
            return Some(own_endpoint.to_owned());
        }
        (!self.endpoint.is_empty()).then(|| format!("{}/{path}", self.endpoint.trim_end_matches('/')))
    }
}

/// The names in a list that commas separate.
fn exporter_names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_below_the_endpoint_unless_they_are_set() {
        let mut config = TelemetryConfig::default();
        assert_eq!((config.traces_url(), config.metrics_url(), config.logs_url()), (None, None, None));
        config.endpoint = "http://collector:4318/".to_owned();
        assert_eq!(config.traces_url().as_deref(), Some("http://collector:4318/v1/traces"));
        assert_eq!(config.metrics_url().as_deref(), Some("http://collector:4318/v1/metrics"));
        assert_eq!(config.logs_url().as_deref(), Some("http://collector:4318/v1/logs"));
        config.traces_endpoint = "http://other/t".to_owned();
        config.metrics_exporter = "none".to_owned();
        assert_eq!(config.traces_url().as_deref(), Some("http://other/t"));
        assert_eq!(config.metrics_url(), None);
    }

    #[test]
    fn exporters_that_are_not_known_are_ignored_and_named() {
        let config = TelemetryConfig {
            endpoint: "http://collector:4318".to_owned(),
            traces_exporter: "zipkin, OTLP".to_owned(),
            metrics_exporter: "prometheus".to_owned(),
            logs_exporter: "console".to_owned(),
            ..TelemetryConfig::default()
        };
        assert!(config.traces_url().is_some() && config.metrics_url().is_none() && config.logs_url().is_none());
        let ignored = [("telemetry.traces_exporter", "zipkin"), ("telemetry.logs_exporter", "console")];
        assert_eq!(config.ignored_exporters(), ignored);
        assert!(TelemetryConfig::default().ignored_exporters().is_empty());
    }

    #[test]
    fn one_kind_alone_is_exported_to_an_endpoint_of_its_own() {
        let metrics_endpoint = "http://collector:4318/v1/metrics".to_owned();
        let config = TelemetryConfig { metrics_endpoint, ..TelemetryConfig::default() };
        assert!(config.metrics_url().is_some() && config.traces_url().is_none() && config.logs_url().is_none());
    }
}
