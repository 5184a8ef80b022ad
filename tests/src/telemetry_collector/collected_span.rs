//! A span that the collector has received.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};

use super::{attributes_by_name, to_hex};

/// A span that the collector has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// The service that sent it.
    pub service: String,
    /// The trace, in hexadecimal digits.
    pub trace_id: String,
    /// The span's id, in hexadecimal digits.
    pub span_id: String,
    /// The id of its parent; empty for the first span of a trace.
    pub parent_id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its attributes, with numbers in decimal.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub is_error: bool,
}

impl CollectedSpan {
    pub(super) fn read(service: &str, span: &Span) -> Self {
        const STATUS_ERROR: i32 = 2;
        Self {
            service: service.to_owned(),
            trace_id: to_hex(&span.trace_id),
            span_id: to_hex(&span.span_id),
            parent_id: to_hex(&span.parent_span_id),
            name: span.name.clone(),
            kind: span.kind(),
            attributes: attributes_by_name(&span.attributes),
            is_error: span.status.as_ref().is_some_and(|status| status.code == STATUS_ERROR),
        }
    }
}
