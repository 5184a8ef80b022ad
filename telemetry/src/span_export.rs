//! Sends spans to a collector, in batches, from its own thread.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{
    otlp_target::{INSTRUMENTATION, SHUTDOWN_TIMEOUT, check_url, describe_process},
    telemetry_config::TelemetryConfig,
    telemetry_error::TelemetryError,
    trace_context::SPAN_TARGET,
};

static IS_EXPORTING: AtomicBool = AtomicBool::new(false);
static CONTINUES_CLIENT_TRACES: AtomicBool = AtomicBool::new(false);

/// Whether this process exports spans.
pub fn is_exporting() -> bool {
    IS_EXPORTING.load(Ordering::Relaxed)
}

pub(crate) fn continues_client_traces() -> bool {
    CONTINUES_CLIENT_TRACES.load(Ordering::Relaxed)
}

/// The export of this process's spans.
#[derive(Debug)]
pub struct SpanExport {
    provider: SdkTracerProvider,
}

impl SpanExport {
    /// Starts the export; `None` without an endpoint. A collector that is away delays nothing: the oldest spans wait in a
    /// bounded queue, and further ones are dropped.
    ///
    /// # Errors
    /// [`TelemetryError`] when a setting is invalid.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>, TelemetryError> {
        let Some(url) = config.traces_url() else { return Ok(None) };
        if !(0.0..=1.0).contains(&config.sample_ratio) {
            return Err(TelemetryError::SampleRatio(config.sample_ratio));
        }
        check_url(&url)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(TelemetryError::Exporter)?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(describe_process(config))
            .build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        CONTINUES_CLIENT_TRACES.store(config.continue_client_traces, Ordering::Relaxed);
        IS_EXPORTING.store(true, Ordering::Relaxed);
        Ok(Some(Self { provider }))
    }

    /// The layer that turns spans with the target [`SPAN_TARGET`] into spans of OpenTelemetry.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer(INSTRUMENTATION))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(
                filter_fn(|metadata| metadata.is_span() && metadata.target() == SPAN_TARGET)
                    .with_max_level_hint(LevelFilter::INFO),
            )
    }

    /// Sends the spans that wait, and ends the export. Blocks for two seconds at most.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the last spans may not have been exported");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_refused_and_no_endpoint_is_none() {
        assert!(matches!(SpanExport::start(&TelemetryConfig::default()), Ok(None)));
        let endpoint = "http://127.0.0.1:4318".to_owned();
        let ratio = TelemetryConfig { endpoint, sample_ratio: 1.5, ..TelemetryConfig::default() };
        let refused = SpanExport::start(&ratio).unwrap_err();
        assert!(refused.to_string().contains("1.5"), "{refused}");
        let start = |endpoint: &str| {
            SpanExport::start(&TelemetryConfig { endpoint: endpoint.to_owned(), ..TelemetryConfig::default() })
        };
        assert!(matches!(start("127.0.0.1:4318"), Err(TelemetryError::Url)));
        let with_login = start("http://ada:secret@127.0.0.1:4318").unwrap_err();
        assert!(
            matches!(with_login, TelemetryError::UrlLogin)
                && !format!("{with_login:?} {with_login}").contains("secret")
        );
        assert!(!is_exporting());
    }
}
