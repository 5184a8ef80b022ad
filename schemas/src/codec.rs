//! Payloads as JSON text and as Avro.
//!
//! One pass each way, driven by the schema, which is parsed once into a small tree (`schema_tree`). Payloads must match
//! the schema exactly: an unknown field, a missing one and a value of another type are errors that name the field.
//!
//! | Avro | JSON |
//! | --- | --- |
//! | `string`, `boolean`, `int`, `long`, `double` | text, `true` or `false`, numbers |
//! | `enum` | one of its symbols as text |
//! | `int` with `date` | `2026-03-01` |
//! | `long` with `timestamp-micros` | `2026-03-01T12:00:00Z`; digits finer than a microsecond are cut |
//! | `record`, `array` | object, array |
//! | union of `null` and another | `null` or absent, else the other |
//!
//! A field that is null and has a default is left out of the JSON, as `skip_serializing_if` does; one without a default
//! is written as `null`. So the JSON that comes back is, letter for letter, the JSON that `serde_json` writes.

mod decode;
mod encode;
mod schema_tree;
#[cfg(test)]
mod tests;
mod time;

pub(crate) use self::{encode::encode_payload, schema_tree::SchemaTree};

/// A payload and a schema that do not fit each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct SchemaMismatchError {
    /// Where in the payload, e.g. `facts.place.zip`; `payload` when it is the whole.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

impl SchemaMismatchError {
    /// A misfit at the end of `steps`, which lead there from the inside out.
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

/// Reads Avro that was written with one schema.
#[derive(Debug)]
pub struct EventDecoder {
    shape: SchemaTree,
}

impl EventDecoder {
    /// Parses a schema.
    ///
    /// # Errors
    /// [`SchemaMismatchError`] when it is no schema, or one with a type that has no place in events.
    pub fn parse(schema: &str) -> Result<Self, SchemaMismatchError> {
        SchemaTree::parse(schema).map(|shape| Self { shape })
    }

    /// The payload as JSON text.
    ///
    /// # Errors
    /// [`SchemaMismatchError`] naming the field that cannot be read.
    pub fn decode_to_json(&self, avro: &[u8]) -> Result<String, SchemaMismatchError> {
        decode::decode_datum(&self.shape, avro)
    }
}
