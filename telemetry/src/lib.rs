//! Traces by OpenTelemetry, the list of metrics, and the JSON format of the log.
//!
//! ```text
//! request ─▶ command ─▶ append ──(metadata of the event)──▶ relay ──(header of the record)──▶ workers ─▶ stores
//! ```
//! Within a process, a span of `tracing` with the target [`SPAN_TARGET`] is exported as a span of OpenTelemetry. Between
//! processes the trace context is stored with the event ([`current_traceparent`]), so that it survives crashes, and what
//! handles events records [`EventSpans`]. Without an endpoint nothing is recorded, and spans cost a comparison.

mod event_spans;
mod json_log_format;
mod metric_catalogue;
mod span_export;
mod telemetry_config;
mod trace_context;

pub use self::{
    event_spans::{EventSpans, MessagingStep},
    json_log_format::JsonLogFormat,
    metric_catalogue::{METRIC_GROUPS, MetricDefinition, MetricGroup, MetricKind, metric_table},
    span_export::{SpanExport, TelemetryError, is_exporting},
    telemetry_config::TelemetryConfig,
    trace_context::{
        SPAN_TARGET, StoredTraceContext, continue_trace, current_trace_ids, current_traceparent, store_span,
    },
};
