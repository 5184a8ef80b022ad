//! What a new version of a schema breaks for data that older versions wrote.

use apache_avro::{Schema, schema_compatibility::SchemaCompatibility};

/// Something that a reader of the new schema cannot read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Incompatibility {
    /// Where in the schema, e.g. `facts.place.zip`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
}

/// What keeps `reader` from reading everything that `writer` wrote (BACKWARD); empty when nothing does.
pub fn backward(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(_) => vec![],
        Err(error) => vec![Incompatibility { path: String::new(), reason: error.to_string() }],
    }
}
