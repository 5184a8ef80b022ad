//! Converts payloads between JSON text and Avro.
//!
//! Each direction is one pass, guided by the schema, which is parsed once into a small tree (`schema_tree`). Payloads
//! must match the schema exactly: an unknown field, a missing one and a value of another type are errors that name the
//! field.
//!
//! | Avro | JSON |
//! | --- | --- |
//! | `string`, `boolean`, `int`, `long`, `double` | text, `true` or `false`, numbers |
//! | `enum` | one of its symbols as text |
//! | `int` with `date` | `2026-03-01` |
//! | `long` with `timestamp-micros` | `2026-03-01T12:00:00Z`, truncated to microseconds |
//! | `record`, `array` | object, array |
//! | union of `null` and another | `null` or absent, else the other |
//!
//! A field that is null and has a default is left out of the JSON, as `skip_serializing_if` does; one without a default
//! is written as `null`. The decoded JSON is therefore the same text that `serde_json` writes.

mod decode;
mod encode;
mod schema_tree;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use self::{encode::encode_payload, schema_tree::SchemaTree};

/// A payload that does not match its schema, or a schema that the codec does not support.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SchemaMismatchError {
    /// The path in the payload, e.g. `facts.place.zip`; `payload` for the root.
    pub path: String,
    /// What does not match.
    pub reason: String,
}

impl SchemaMismatchError {
    /// An error at the path of `steps`, innermost step first.
    fn at_path(steps: &[String], reason: String) -> Self {
        let mut path = String::new();
        for step in steps.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        if path.is_empty() {
            path.push_str("payload");
        }
        Self { path, reason }
    }
}

/// Decodes Avro data that was written with one schema.
#[derive(Debug)]
pub struct EventDecoder {
    tree: SchemaTree,
}

impl EventDecoder {
    /// Parses a schema.
    ///
    /// # Errors
    /// [`SchemaMismatchError`] when the text is not a schema or uses a type that events do not support.
    pub fn parse(schema: &str) -> Result<Self, SchemaMismatchError> {
        SchemaTree::parse(schema).map(|tree| Self { tree })
    }

    /// Decodes a datum as JSON text.
    ///
    /// # Errors
    /// [`SchemaMismatchError`] naming the field that cannot be decoded.
    pub fn decode_to_json(&self, avro: &[u8]) -> Result<String, SchemaMismatchError> {
        decode::decode_datum(&self.tree, avro)
    }
}
