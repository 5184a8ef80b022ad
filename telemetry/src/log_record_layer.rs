//! Turns lines of the log into records of OpenTelemetry: with the fields that the JSON log has, and so without personal data.

use std::{sync::Arc, time::SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry_sdk::logs::SdkLogger;
use serde_json::Value;
use tracing::{
    Event, Level, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use crate::{
    log_fields::{LogFieldVisitor, LogFields, add_span_fields},
    log_queue::LogQueue,
};

/// Log lines of the export itself are not exported, since they would cause the next export: lines of OpenTelemetry, of
/// its HTTP client and of that client's libraries.
const EXPORTER_TARGETS: [&str; 9] =
    ["opentelemetry", "reqwest", "hyper", "h2", "rustls", "want", "mio", "tower", "tokio_util"];

fn is_exporter_target(target: &str) -> bool {
    EXPORTER_TARGETS.iter().any(|exporter| target.starts_with(exporter))
}

/// The layer that hands each line to the exporter.
pub(crate) struct LogRecordLayer {
    logger: SdkLogger,
    queue: Arc<LogQueue>,
}

/// The fields of a span, as an extension of it.
struct SpanLogFields(LogFields);

impl LogRecordLayer {
    pub(crate) fn new(logger: SdkLogger, queue: Arc<LogQueue>) -> Self {
        Self { logger, queue }
    }
}

impl<S> Layer<S> for LogRecordLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = LogFields::new();
        attributes.record(&mut LogFieldVisitor { fields: &mut fields });
        span.extensions_mut().replace(SpanLogFields(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut recorded = LogFields::new();
        values.record(&mut LogFieldVisitor { fields: &mut recorded });
        if let Some(SpanLogFields(fields)) = span.extensions_mut().get_mut() {
            fields.extend(recorded);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        // The target first: OpenTelemetry itself logs while it changes the current context, which cannot be read then.
        if is_exporter_target(metadata.target()) || opentelemetry::Context::is_current_telemetry_suppressed() {
            return;
        }
        let mut fields = LogFields::new();
        event.record(&mut LogFieldVisitor { fields: &mut fields });
        // Records of the crate `log` have their target as a field.
        let is_of_client = fields.get("log.target").and_then(Value::as_str).is_some_and(is_exporter_target);
        if is_of_client || !self.queue.reserve() {
            return;
        }
        let message = fields.remove("message");
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanLogFields(of_span)) = span.extensions().get() {
                add_span_fields(&mut fields, of_span.clone());
            }
        }
        let mut record = self.logger.create_log_record();
        record.set_timestamp(SystemTime::now());
        record.set_target(metadata.target());
        record.set_severity_number(convert_severity(*metadata.level()));
        record.set_severity_text(metadata.level().as_str());
        if let Some(message) = message {
            record.set_body(to_any_value(message));
        }
        record.add_attributes(fields.into_iter().map(|(name, value)| (name, to_any_value(value))));
        // Adds the ids of the current trace and span.
        self.logger.emit(record);
    }
}

fn convert_severity(level: Level) -> Severity {
    match level {
        Level::TRACE => Severity::Trace,
        Level::DEBUG => Severity::Debug,
        Level::INFO => Severity::Info,
        Level::WARN => Severity::Warn,
        Level::ERROR => Severity::Error,
    }
}

fn to_any_value(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Boolean(value),
        Value::String(text) => text.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => AnyValue::Int(integer),
            (None, Some(float)) if number.is_f64() => AnyValue::Double(float),
            (None, _) => number.to_string().into(),
        },
        value @ (Value::Null | Value::Array(_) | Value::Object(_)) => value.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::{Context as TraceContext, logs::LoggerProvider as _, trace::TraceContextExt};
    use opentelemetry_sdk::{
        error::OTelSdkResult,
        logs::{LogBatch, LogExporter, SdkLogRecord, SdkLoggerProvider},
    };
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::trace_context::parse_traceparent;

    /// Keeps what is exported.
    #[derive(Debug, Clone, Default)]
    struct ExportedRecords(Arc<Mutex<Vec<SdkLogRecord>>>);

    impl LogExporter for ExportedRecords {
        async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch.iter().map(|(record, _)| record.clone()));
            Ok(())
        }
    }

    /// The records of what `work` logs, with room for two of them.
    fn log_records(work: impl FnOnce()) -> Vec<SdkLogRecord> {
        let exporter = ExportedRecords::default();
        let provider = SdkLoggerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = LogRecordLayer::new(provider.logger("test"), Arc::new(LogQueue::new(2)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        exporter.0.lock().unwrap().clone()
    }

    fn attribute(record: &SdkLogRecord, name: &str) -> Option<AnyValue> {
        record.attributes_iter().find(|(key, _)| key.as_str() == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn a_record_has_the_fields_of_its_line_its_request_and_its_trace() {
        let records = log_records(|| {
            let span = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
            let _current = TraceContext::new().with_remote_span_context(span).attach();
            let request = tracing::info_span!("request", correlation_id = "c-1", tenant_id = tracing::field::Empty);
            request.record("tenant_id", "acme");
            request.in_scope(|| tracing::warn!(tries = 3_u64, share = 0.5, "writing failed"));
        });
        let [record] = &records[..] else { panic!("{records:?}") };
        assert_eq!(record.body(), Some(&AnyValue::String("writing failed".into())));
        assert_eq!((record.severity_number(), record.severity_text()), (Some(Severity::Warn), Some("WARN")));
        assert_eq!(record.target().map(ToString::to_string).as_deref(), Some(module_path!()));
        assert_eq!(attribute(record, "tenant_id"), Some("acme".into()));
        assert_eq!(attribute(record, "correlation_id"), Some("c-1".into()));
        assert_eq!(attribute(record, "tries"), Some(AnyValue::Int(3)));
        assert_eq!(attribute(record, "share"), Some(AnyValue::Double(0.5)));
        let trace = record.trace_context().unwrap();
        assert_eq!(trace.trace_id.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.span_id.to_string(), "b7ad6b7169203331");
    }

    #[test]
    fn log_lines_of_an_export_and_lines_beyond_the_queue_are_left_out() {
        let records = log_records(|| {
            let suppressed = TraceContext::enter_telemetry_suppressed_scope();
            tracing::info!("of the thread that exports");
            drop(suppressed);
            tracing::info!(target: "hyper_util::client::legacy", "of its client");
            tracing::info!(target: "opentelemetry-otlp", "of its library");
            for line in 0..5 {
                tracing::info!(line, "said");
            }
        });
        let lines: Vec<_> = records.iter().map(|record| attribute(record, "line")).collect();
        assert_eq!(lines, [Some(AnyValue::Int(0)), Some(AnyValue::Int(1))]);
    }
}
