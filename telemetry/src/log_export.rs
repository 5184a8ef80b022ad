//! Sends the log to a collector, in batches, from its own thread.

use std::sync::Arc;

use opentelemetry::logs::LoggerProvider as _;
use opentelemetry_otlp::{LogExporter, Protocol, WithExportConfig};
use opentelemetry_sdk::logs::{BatchConfigBuilder, BatchLogProcessor, SdkLoggerProvider};
use tracing::Subscriber;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use crate::{
    log_queue::{LogQueue, QueuedLogExporter},
    log_record_layer::LogRecordLayer,
    otlp_target::{INSTRUMENTATION, SHUTDOWN_TIMEOUT, check_url, describe_process},
    telemetry_config::TelemetryConfig,
    telemetry_error::TelemetryError,
    trace_context::SPAN_TARGET,
};

/// The export of this process's log.
#[derive(Debug)]
pub struct LogExport {
    provider: SdkLoggerProvider,
    queue: Arc<LogQueue>,
}

impl LogExport {
    /// Starts the export; `None` without an endpoint. A collector that is away delays nothing: the oldest lines wait in a
    /// bounded queue, and further ones are dropped, which `medhub_log_records_dropped_total` counts.
    ///
    /// # Errors
    /// [`TelemetryError`] when a setting is invalid.
    pub fn start(config: &TelemetryConfig) -> Result<Option<Self>, TelemetryError> {
        let Some(url) = config.logs_url() else { return Ok(None) };
        check_url(&url)?;
        let exporter = LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url)
            .build()
            .map_err(TelemetryError::Exporter)?;
        let limit = config.log_queue_size.max(1);
        let queue = Arc::new(LogQueue::new(limit));
        let processor = BatchLogProcessor::builder(QueuedLogExporter::new(exporter, Arc::clone(&queue)))
            .with_batch_config(BatchConfigBuilder::default().with_max_queue_size(limit).build())
            .build();
        let provider =
            SdkLoggerProvider::builder().with_log_processor(processor).with_resource(describe_process(config)).build();
        Ok(Some(Self { provider, queue }))
    }

    /// The layer that exports the lines of the log.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let layer = LogRecordLayer::new(self.provider.logger(INSTRUMENTATION), Arc::clone(&self.queue));
        layer.with_filter(filter_fn(|metadata| metadata.target() != SPAN_TARGET))
    }

    /// Sends the lines that wait, and ends the export. Blocks for two seconds at most.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the last lines of the log may not have been exported"
            );
        }
    }
}
