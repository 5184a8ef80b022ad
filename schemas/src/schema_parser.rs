//! Parses untrusted Avro schemas at a cost that is bounded by their size.
//!
//! A schema can refer to its named types any number of times, so that a few kilobytes can describe a tree of 2^40
//! values. This module never expands such a tree. The library does so in one case: it completes the default of a record
//! field with the defaults of the record's own fields. The library therefore gets the schema without the defaults of
//! fields, and `defaults` checks each of them once.

mod defaults;
mod limits;
#[cfg(test)]
mod tests;

use apache_avro::Schema;
use serde_json::Value;

pub use self::limits::{MAX_SCHEMA_ELEMENTS, MAX_TYPE_NESTING};

/// Why a schema is invalid or exceeds a limit.
#[derive(Debug, thiserror::Error)]
pub enum SchemaParseError {
    /// The text is not JSON.
    #[error("it is not JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The text is JSON, but not an Avro schema.
    #[error("it is not an Avro schema: {0}")]
    Avro(#[source] Box<apache_avro::Error>),
    /// The schema has too many elements.
    #[error("it has more than {MAX_SCHEMA_ELEMENTS} types, fields, symbols and aliases")]
    TooManyElements,
    /// The types are nested too deeply.
    #[error("its types are nested more than {MAX_TYPE_NESTING} levels deep")]
    TooDeep,
    /// The library copies a named type for each of its aliases and for each type around it.
    #[error("parsing it takes too much memory: its named types have too many aliases or are nested too deeply")]
    TooManyCopies,
    /// The definition of a named type is incomplete.
    #[error("it is not an Avro schema: a type of the kind {kind} has no attribute {attribute}")]
    MissingAttribute {
        /// `record`, `enum` or `fixed`.
        kind: &'static str,
        /// The missing attribute.
        attribute: &'static str,
    },
    /// The default of a field does not match the field's type.
    #[error("it is not an Avro schema: the default of the field {field} does not match the field's type")]
    InvalidDefault {
        /// The first 64 characters of the field's name.
        field: String,
    },
    /// Checking the defaults takes too many steps.
    #[error("its defaults are too many or nested too deeply to be checked")]
    DefaultsTooLarge,
}

/// Parses a schema.
///
/// # Errors
/// [`SchemaParseError`] when the schema is invalid or exceeds a limit.
pub fn parse_schema(text: &str) -> Result<Schema, SchemaParseError> {
    parse_schema_value(&serde_json::from_str(text).map_err(SchemaParseError::Json)?)
}

/// Parses a schema from a JSON value; `serde_json` limits the nesting of the JSON.
///
/// # Errors
/// [`SchemaParseError`] when the schema is invalid or exceeds a limit.
pub fn parse_schema_value(schema: &Value) -> Result<Schema, SchemaParseError> {
    limits::check_limits(schema)?;
    let mut without_defaults = schema.clone();
    defaults::hide_defaults(&mut without_defaults);
    let mut parsed = Schema::parse(&without_defaults).map_err(|error| SchemaParseError::Avro(Box::new(error)))?;
    defaults::restore_defaults(&mut parsed).map_err(|error| SchemaParseError::Avro(Box::new(error)))?;
    defaults::check_defaults(&parsed)?;
    Ok(parsed)
}
