//! Trace contexts as the text that W3C has defined: `00-<trace id>-<span id>-<flags>`.

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::span_export::{continues_client_traces, is_exporting};

/// The target of spans that are exported. The log does not show them.
pub const SPAN_TARGET: &str = "medhub::trace";

/// The span of a statement or request that a client sends to a store of that kind, as OpenTelemetry names it. Outside
/// of a trace there is none: the store accesses of workers and timers belong to no request.
pub fn store_span(store: &'static str, operation: &'static str) -> Span {
    if !Context::map_current(Context::has_active_span) {
        return Span::none();
    }
    tracing::info_span!(
        target: SPAN_TARGET,
        "store",
        otel.name = operation,
        otel.kind = "client",
        db.system.name = store,
        db.operation.name = operation,
    )
}

/// The current span as `traceparent`; empty if there is none or it is not sampled, so that events of unsampled traces cost
/// nothing to store or to read.
pub fn current_traceparent() -> String {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        if !span.is_valid() || !span.is_sampled() {
            return String::new();
        }
        format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8())
    })
}

/// The ids of the current trace and span, whether they are sampled or not.
pub fn current_trace_ids() -> Option<(String, String)> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
    })
}

/// Makes `span`, which has not been entered yet, a child of the client's span that the `traceparent` header names. A header
/// that is missing or invalid, or settings that do not trust clients, leave a new trace.
pub fn continue_trace(span: &Span, traceparent: Option<&str>) {
    if !is_exporting() || !continues_client_traces() {
        return;
    }
    if let Some(parent) = traceparent.and_then(parse_traceparent) {
        // Fails only for a span that is not exported.
        let _is_not_exported = span.set_parent(Context::new().with_remote_span_context(parent));
    }
}

/// A span whose trace continues later, in another process: of a sampled trace, since others are not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredTraceContext {
    trace_id: TraceId,
    span_id: SpanId,
}

impl StoredTraceContext {
    /// The span that a stored `traceparent` names; `None` for an empty or invalid text.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let span = parse_traceparent(traceparent)?;
        Some(Self { trace_id: span.trace_id(), span_id: span.span_id() })
    }

    /// The trace of the span.
    pub fn trace_id(self) -> TraceId {
        self.trace_id
    }

    /// As `traceparent`.
    pub fn to_traceparent(self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }

    /// Makes `span`, which has not been entered yet, a child of the stored one.
    pub fn continue_in(self, span: &Span) {
        if is_exporting() {
            let parent =
                SpanContext::new(self.trace_id, self.span_id, TraceFlags::SAMPLED, true, TraceState::default());
            // Fails only for a span that is not exported.
            let _is_not_exported = span.set_parent(Context::new().with_remote_span_context(parent));
        }
    }
}

/// The span that a `traceparent` names; `None` if the text is invalid.
pub(crate) fn parse_traceparent(text: &str) -> Option<SpanContext> {
    if !has_traceparent_shape(text) {
        return None;
    }
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &TraceparentCarrier(text));
    let span = context.span().span_context().clone();
    span.is_valid().then_some(span)
}

/// Whether the parts have their lengths, which the library does not check. Versions after the first may have more parts.
fn has_traceparent_shape(text: &str) -> bool {
    let mut parts = text.split('-');
    let has_lengths = [2, 32, 16, 2].iter().all(|length| parts.next().is_some_and(|part| part.len() == *length));
    has_lengths && (parts.next().is_none() || !text.starts_with("00"))
}

/// Carries one `traceparent`.
struct TraceparentCarrier<'a>(&'a str);

impl Extractor for TraceparentCarrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_traceparent_is_parsed_and_written_alike() {
        let span = parse_traceparent(TRACEPARENT).unwrap();
        assert!(span.is_sampled() && span.is_remote());
        let _current = Context::new().with_remote_span_context(span).attach();
        assert_eq!(current_traceparent(), TRACEPARENT);
        let ids = current_trace_ids().unwrap();
        assert_eq!((ids.0.as_str(), ids.1.as_str()), ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"));
    }

    #[test]
    fn a_stored_context_is_written_as_it_was_read() {
        let stored = StoredTraceContext::parse(TRACEPARENT).unwrap();
        assert_eq!(stored.to_traceparent(), TRACEPARENT);
        let other_span = StoredTraceContext::parse(&TRACEPARENT.replace("b7ad6b71", "00f067aa")).unwrap();
        assert_ne!(other_span, stored);
        assert_eq!(other_span.trace_id(), stored.trace_id());
        assert_eq!(StoredTraceContext::parse(""), None);
    }

    #[test]
    fn an_unsampled_span_has_ids_and_is_not_stored() {
        let span = parse_traceparent(&TRACEPARENT.replace("-01", "-00")).unwrap();
        let _current = Context::new().with_remote_span_context(span).attach();
        assert_eq!(current_traceparent(), "");
        assert!(current_trace_ids().is_some());
    }

    #[test]
    fn invalid_texts_are_no_spans() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for text in ["", "00-1-2-01", zero, &TRACEPARENT[1..], &format!("{TRACEPARENT}x"), "é"] {
            assert_eq!(parse_traceparent(text), None, "{text:?}");
        }
        assert_eq!((current_traceparent(), current_trace_ids()), (String::new(), None));
    }
}
