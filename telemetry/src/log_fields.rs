//! The fields of an event or a span of `tracing`, as values of JSON: what the JSON log and exported logs have in common.

use std::{error::Error, fmt};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

/// Fields by name, in their order.
pub(crate) type LogFields = Map<String, Value>;

/// Adds fields to others, without replacing any.
pub(crate) struct LogFieldVisitor<'a> {
    pub(crate) fields: &'a mut LogFields,
}

impl LogFieldVisitor<'_> {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.entry(field.name()).or_insert_with(|| value.into());
    }
}

impl Visit for LogFieldVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    /// The error with its sources, as one text.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        self.insert(field, text);
    }
}

/// Adds the fields of a span around an event. From the innermost span outwards: the nearest value of a field counts.
pub(crate) fn add_span_fields(fields: &mut LogFields, of_span: impl IntoIterator<Item = (String, Value)>) {
    for (name, value) in of_span {
        let name = if name == "correlation.id" { "correlation_id".to_owned() } else { name };
        fields.entry(name).or_insert(value);
    }
}
