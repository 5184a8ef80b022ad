//! Parses untrusted Avro schemas at a cost that is bounded by their size.
//!
//! A schema names its types and refers to them as often as it likes, so that a few kilobytes can stand for a tree of
//! 2^40 values. Nothing here unfolds such a tree. The library does so in one place: it completes the default of a
//! record field with the defaults of the record's own fields. It is therefore given the schema without defaults of
//! fields, and `defaults` checks them, each once.

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
    /// It is not JSON.
    #[error("it is not JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// It is JSON, but no Avro schema.
    #[error("it is no Avro schema: {0}")]
    Avro(#[source] Box<apache_avro::Error>),
    /// It has more parts than are taken.
    #[error("it has more than {MAX_SCHEMA_ELEMENTS} types, fields, symbols and aliases")]
    TooManyElements,
    /// Its types lie in each other too deeply.
    #[error("it nests types more than {MAX_TYPE_NESTING} deep")]
    TooDeep,
    /// The library copies a named type for each of its aliases and for each type around it.
    #[error("its named types are nested and renamed so often that reading it would take too much memory")]
    TooManyCopies,
    /// A named type is not defined where it says that it is.
    #[error("it is no Avro schema: a type of the kind {kind} has no attribute {attribute}")]
    MissingAttribute {
        /// `record`, `enum` or `fixed`.
        kind: &'static str,
        /// What makes it a definition.
        attribute: &'static str,
    },
    /// A default is no value of its field's type.
    #[error("it is no Avro schema: the default of the field {field} is no value of the field's type")]
    InvalidDefault {
        /// The field's name, cut where it is long.
        field: String,
    },
    /// Checking the defaults takes too many steps.
    #[error("its defaults are too many or too deep to be checked")]
    DefaultsTooLarge,
}

/// Parses a schema.
///
/// # Errors
/// [`SchemaParseError`] saying what it is not, or which bound it exceeds.
pub fn parse_schema(text: &str) -> Result<Schema, SchemaParseError> {
    parse_schema_value(&serde_json::from_str(text).map_err(SchemaParseError::Json)?)
}

/// The same for JSON that was parsed already; `serde_json` bounds how deeply it is nested.
///
/// # Errors
/// [`SchemaParseError`] saying what it is not, or which bound it exceeds.
pub fn parse_schema_value(schema: &Value) -> Result<Schema, SchemaParseError> {
    limits::check_limits(schema)?;
    let mut without_defaults = schema.clone();
    defaults::hide_defaults(&mut without_defaults);
    let mut parsed = Schema::parse(&without_defaults).map_err(|error| SchemaParseError::Avro(Box::new(error)))?;
    defaults::restore_defaults(&mut parsed).map_err(|error| SchemaParseError::Avro(Box::new(error)))?;
    defaults::check_defaults(&parsed)?;
    Ok(parsed)
}
