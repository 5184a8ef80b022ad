//! Traces, metrics and logs by OpenTelemetry, the list of metrics, and the JSON format of the log.
//!
//! ```text
//! request ─▶ command ─▶ append ──(metadata of the event)──▶ relay ──(header of the record)──▶ workers ─▶ stores
//! ```
//! Within a process, a span of `tracing` with the target [`SPAN_TARGET`] is exported as a span of OpenTelemetry. Between
//! processes the trace context is stored with the event ([`current_traceparent`]), so that it survives crashes, and what
//! handles events records [`EventSpans`]. Without an endpoint nothing is recorded, and spans cost a comparison.
//!
//! Metrics are sent as `/metrics` shows them ([`MetricExport`]), and lines of the log with the fields of the JSON format
//! ([`LogExport`]), each to an endpoint that can be left out.

mod event_spans;
mod json_log_format;
mod log_export;
mod log_fields;
mod log_queue;
mod log_record_layer;
mod metric_catalogue;
mod metric_export;
mod metrics_request;
mod otlp_target;
mod prometheus_text;
mod span_export;
mod telemetry_config;
mod telemetry_error;
mod telemetry_exports;
mod trace_context;

pub use self::{
    event_spans::{EventSpans, MessagingStep},
    json_log_format::JsonLogFormat,
    log_export::LogExport,
    metric_catalogue::{METRIC_GROUPS, MetricDefinition, MetricGroup, MetricKind, metric_table},
    metric_export::MetricExport,
    span_export::{SpanExport, is_exporting},
    telemetry_config::TelemetryConfig,
    telemetry_error::TelemetryError,
    telemetry_exports::TelemetryExports,
    trace_context::{
        SPAN_TARGET, StoredTraceContext, continue_trace, current_trace_ids, current_traceparent, store_span,
    },
};
