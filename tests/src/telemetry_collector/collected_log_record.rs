//! A line of a log that the collector has received.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::logs::v1::LogRecord;

use super::{attributes_by_name, to_hex, value_text};

/// A line of a log that the collector has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedLogRecord {
    /// The service that sent it.
    pub service: String,
    /// The part of the program that logged it.
    pub target: String,
    /// Its severity, as the program names it.
    pub severity: String,
    /// Its message.
    pub message: String,
    /// The trace, in hexadecimal digits; empty outside of one.
    pub trace_id: String,
    /// The span, in hexadecimal digits; empty outside of one.
    pub span_id: String,
    /// Its attributes, with numbers in decimal.
    pub attributes: BTreeMap<String, String>,
}

impl CollectedLogRecord {
    pub(super) fn read(service: &str, target: &str, record: &LogRecord) -> Self {
        Self {
            service: service.to_owned(),
            target: target.to_owned(),
            severity: record.severity_text.clone(),
            message: value_text(record.body.as_ref()),
            trace_id: to_hex(&record.trace_id),
            span_id: to_hex(&record.span_id),
            attributes: attributes_by_name(&record.attributes),
        }
    }
}
