//! The exports that a process begins first: spans and the log.

use std::thread;

use crate::{
    log_export::LogExport, span_export::SpanExport, telemetry_config::TelemetryConfig, telemetry_error::TelemetryError,
};

/// The exports of spans and of the log, where they have endpoints.
#[derive(Debug, Default)]
pub struct TelemetryExports {
    /// The export of spans.
    pub spans: Option<SpanExport>,
    /// The export of the log.
    pub logs: Option<LogExport>,
}

impl TelemetryExports {
    /// Starts both.
    ///
    /// # Errors
    /// [`TelemetryError`] when a setting is invalid.
    pub fn start(config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        Ok(Self { spans: SpanExport::start(config)?, logs: LogExport::start(config)? })
    }

    /// Sends the waiting data and ends both exports at the same time, so that a collector that does not answer one does
    /// not delay the other. Blocks for two seconds at most.
    pub fn shutdown(&self) {
        thread::scope(|scope| {
            if let Some(spans) = &self.spans {
                scope.spawn(move || spans.shutdown());
            }
            if let Some(logs) = &self.logs {
                logs.shutdown();
            }
        });
    }
}
