//! The exports that begin before anything else of a process: those of spans and of the log.

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

    /// Sends what waits, and ends both, at the same time: a collector of one that does not answer takes nothing from the
    /// other. Blocks for two seconds at most.
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
