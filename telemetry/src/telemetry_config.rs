//! Whether and where traces are exported.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` or `MEDHUB__TELEMETRY__ENDPOINT` | none | base URL of a collector that takes OTLP as Protobuf by HTTP, e.g. `http://127.0.0.1:4318`; without it nothing is recorded |
//! | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `MEDHUB__TELEMETRY__TRACES_ENDPOINT` | `/v1/traces` of the base URL | the whole URL for traces |
//! | `OTEL_SERVICE_NAME` or `MEDHUB__TELEMETRY__SERVICE_NAME` | `medhub` | name of the service |
//! | `OTEL_TRACES_SAMPLER_ARG` or `MEDHUB__TELEMETRY__SAMPLE_RATIO` | `1` | share of the traces that begin here and are recorded, from 0 to 1; a trace that a caller has begun is recorded if the caller records it |
//! | `MEDHUB__TELEMETRY__CONTINUE_CLIENT_TRACES` | `false` | whether requests continue the traces of their `traceparent` headers: where a gateway sets them |
//!
//! The exporter itself reads `OTEL_EXPORTER_OTLP_HEADERS` (credentials of the collector), `OTEL_EXPORTER_OTLP_TIMEOUT`,
//! `OTEL_RESOURCE_ATTRIBUTES` and the variables of the batches, `OTEL_BSP_*`. `OTEL_TRACES_SAMPLER`, `OTEL_SDK_DISABLED` and
//! `OTEL_EXPORTER_OTLP_PROTOCOL` are not read.

use serde::{Deserialize, Serialize};

/// The environment variables of OpenTelemetry, and the settings that they override.
const WELL_KNOWN_VARIABLES: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "telemetry.endpoint"),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "telemetry.traces_endpoint"),
    ("OTEL_SERVICE_NAME", "telemetry.service_name"),
    ("OTEL_TRACES_SAMPLER_ARG", "telemetry.sample_ratio"),
];

/// Configuration of the export of traces.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// Base URL of the collector; empty exports nothing, unless `traces_endpoint` is set.
    pub endpoint: String,
    /// The whole URL for traces; empty derives it from `endpoint`.
    pub traces_endpoint: String,
    /// Name of the service.
    pub service_name: String,
    /// Share of the traces that begin here and are recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Whether requests continue the traces that their clients name. A client that names a sampled trace has it
    /// recorded, whatever the ratio and before it is authenticated: only for clients behind a gateway that sets the header.
    pub continue_client_traces: bool,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            traces_endpoint: String::new(),
            service_name: "medhub".to_owned(),
            sample_ratio: 1.0,
            continue_client_traces: false,
        }
    }
}

impl TelemetryConfig {
    /// The environment variables of OpenTelemetry, and the settings that they override.
    pub fn well_known_variables() -> [(&'static str, &'static str); 4] {
        WELL_KNOWN_VARIABLES
    }

    /// The URL that traces are sent to; `None` if they are not exported.
    pub fn traces_url(&self) -> Option<String> {
        if !self.traces_endpoint.is_empty() {
            return Some(self.traces_endpoint.clone());
        }
        (!self.endpoint.is_empty()).then(|| format!("{}/v1/traces", self.endpoint.trim_end_matches('/')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_traces_is_below_the_endpoint_unless_it_is_set() {
        let mut config = TelemetryConfig::default();
        assert_eq!(config.traces_url(), None);
        config.endpoint = "http://collector:4318/".to_owned();
        assert_eq!(config.traces_url().as_deref(), Some("http://collector:4318/v1/traces"));
        config.traces_endpoint = "http://other/t".to_owned();
        assert_eq!(config.traces_url().as_deref(), Some("http://other/t"));
    }
}
