//! Why the export of telemetry cannot be started.

use opentelemetry_otlp::ExporterBuildError;

/// Why traces, metrics or logs cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The share is not between 0 and 1.
    #[error("telemetry.sample_ratio is {0}, and must be between 0 and 1")]
    SampleRatio(f64),
    /// The URL is invalid.
    #[error("telemetry.endpoint and the endpoints of traces, metrics and logs must begin with http:// or https://")]
    Url,
    /// The URL contains a login, which would not be sent.
    #[error(
        "telemetry.endpoint contains a login; set the header that the collector expects by OTEL_EXPORTER_OTLP_HEADERS"
    )]
    UrlLogin,
    /// The exporter cannot be built from the settings.
    #[error("setting up the export by OpenTelemetry; check telemetry.endpoint and the variables OTEL_EXPORTER_OTLP_*")]
    Exporter(#[source] ExporterBuildError),
    /// The client that sends metrics cannot be built.
    #[error("setting up the client that sends metrics")]
    Client(#[source] reqwest::Error),
}
