//! A line of the log as a JSON object.
//!
//! `timestamp`, `level`, `target` and the fields of the event, then what is known of its request: `correlation_id`,
//! `tenant_id`, `trace_id` and `span_id`. Fields of the event and of the spans around it have no personal data: they name
//! tenants, streams and ids.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, format::Writer},
    registry::LookupSpan,
};

use crate::{
    log_fields::{LogFieldVisitor, LogFields, add_span_fields},
    trace_context::current_trace_ids,
};

/// Writes each event of the log as one JSON object per line. Spans must be formatted by
/// [`JsonFields`](tracing_subscriber::fmt::format::JsonFields).
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonLogFormat;

impl<S, N> FormatEvent<S, N> for JsonLogFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = LogFields::new();
        let now = DateTime::<Utc>::from(std::time::SystemTime::now());
        line.insert("timestamp".to_owned(), now.to_rfc3339_opts(SecondsFormat::Micros, true).into());
        line.insert("level".to_owned(), metadata.level().as_str().into());
        line.insert("target".to_owned(), metadata.target().into());
        event.record(&mut LogFieldVisitor { fields: &mut line });
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>().map(|fields| fields.fields.as_str());
            let fields = fields.and_then(|fields| serde_json::from_str::<LogFields>(fields).ok());
            add_span_fields(&mut line, fields.into_iter().flatten());
        }
        // OpenTelemetry itself logs while it changes the current context, which cannot be read then.
        let is_of_telemetry = metadata.target().starts_with("opentelemetry");
        if let Some((trace, span)) = (!is_of_telemetry).then(current_trace_ids).flatten() {
            line.insert("trace_id".to_owned(), trace.into());
            line.insert("span_id".to_owned(), span.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error,
        io,
        sync::{Arc, Mutex},
    };

    use opentelemetry::{Context, trace::TraceContextExt};
    use tracing_subscriber::{
        fmt::{MakeWriter, format::JsonFields},
        layer::SubscriberExt,
    };

    use super::*;
    use crate::trace_context::parse_traceparent;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct WrittenLines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for WrittenLines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for WrittenLines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn log_lines(work: impl FnOnce()) -> Vec<Value> {
        let text = WrittenLines::default();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLogFormat)
            .fmt_fields(JsonFields::new())
            .with_writer(text.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), work);
        let written = text.0.lock().unwrap().clone();
        String::from_utf8(written).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_its_fields_its_request_and_its_trace() {
        let cause = io::Error::other("disk full");
        let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let lines = log_lines(|| {
            let span = parse_traceparent(traceparent).unwrap();
            let _current = Context::new().with_remote_span_context(span).attach();
            tracing::info_span!("request", correlation_id = "c-1", tenant_id = "acme").in_scope(|| {
                let error = &cause as &dyn Error;
                tracing::warn!(error, level = "ignored", tries = 3_u64, "writing \"it\"\nfailed");
            });
        });
        let [line] = &lines[..] else { panic!("{lines:?}") };
        for (name, value) in [
            ("level", Value::from("WARN")),
            ("message", "writing \"it\"\nfailed".into()),
            ("error", "disk full".into()),
            ("tries", 3.into()),
            ("correlation_id", "c-1".into()),
            ("tenant_id", "acme".into()),
            ("trace_id", "0af7651916cd43dd8448eb211c80319c".into()),
            ("span_id", "b7ad6b7169203331".into()),
        ] {
            assert_eq!(line[name], value, "{name} in {line}");
        }
    }

    #[test]
    fn the_nearest_span_counts_and_a_line_without_a_request_has_no_ids() {
        let lines = log_lines(|| {
            tracing::info_span!("outer", tenant_id = "a", correlation.id = "c").in_scope(|| {
                tracing::info_span!("inner", tenant_id = "b").in_scope(|| tracing::info!("inside"));
            });
            tracing::info!("outside");
        });
        assert_eq!((&lines[0]["tenant_id"], &lines[0]["correlation_id"]), (&"b".into(), &"c".into()), "{lines:?}");
        assert!(lines[1].get("tenant_id").is_none() && lines[1].get("trace_id").is_none(), "{lines:?}");
    }
}
