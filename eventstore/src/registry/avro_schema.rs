//! An Avro schema as text, parsed, and in a canonical form that decides whether two schemas are the same.
//!
//! Unlike Avro's "parsing canonical form", this form contains everything that a reader may use (defaults,
//! documentation, aliases, logical types). Only white space, the order of attributes, and `{"type": "string"}` for
//! `"string"` make no difference.

use std::sync::Arc;

use apache_avro::Schema;
use schemas::schema_parser::{SchemaParseError, parse_schema_value};
use serde_json::{Map, Value};

/// Maximum length of a schema, in bytes.
pub const MAX_SCHEMA_BYTES: usize = 512 * 1024;

/// A valid Avro schema.
#[derive(Debug, Clone)]
pub struct AvroSchema {
    text: String,
    canonical: String,
    parsed: Arc<Schema>,
}

/// Why a text is not a valid Avro schema.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSchema {
    /// The text is empty or white space.
    #[error("Empty schema")]
    Empty,
    /// The text is longer than [`MAX_SCHEMA_BYTES`]. Holds its length in bytes.
    #[error("Invalid schema: it has {0} bytes, more than the maximum of {MAX_SCHEMA_BYTES}")]
    TooLong(usize),
    /// The schema cannot be parsed or exceeds a limit.
    #[error("Invalid schema: {0}")]
    Unreadable(#[from] SchemaParseError),
}

impl AvroSchema {
    /// Parses a schema. Large ones take milliseconds: [`super::SchemaStore::parse_schema`] does it on a thread for
    /// blocking work.
    ///
    /// # Errors
    /// [`InvalidSchema`] with the reason.
    pub fn parse(text: &str) -> Result<Self, InvalidSchema> {
        if text.trim().is_empty() {
            return Err(InvalidSchema::Empty);
        }
        if text.len() > MAX_SCHEMA_BYTES {
            return Err(InvalidSchema::TooLong(text.len()));
        }
        let value: Value = serde_json::from_str(text).map_err(SchemaParseError::Json)?;
        let parsed = Arc::new(parse_schema_value(&value)?);
        Ok(Self { text: text.to_owned(), canonical: canonicalize_schema(&value).to_string(), parsed })
    }

    /// The original text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The canonical form, which decides whether two schemas are the same.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The parsed schema.
    pub fn parsed(&self) -> &Arc<Schema> {
        &self.parsed
    }
}

/// Sorts the attributes of a schema and replaces `{"type": "string"}` by `"string"`.
fn canonicalize_schema(schema: &Value) -> Value {
    match schema {
        Value::Array(union) => union.iter().map(canonicalize_schema).collect(),
        Value::Object(attributes) => match attributes.get("type") {
            Some(only) if attributes.len() == 1 => canonicalize_schema(only),
            Some(_) | None => Value::Object(sort_members(attributes, canonicalize_attribute)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}

fn canonicalize_attribute(name: &str, value: &Value) -> Value {
    match (name, value) {
        ("type" | "items" | "values", schema) => canonicalize_schema(schema),
        ("fields", Value::Array(fields)) => fields.iter().map(canonicalize_field).collect(),
        (_, value) => canonicalize_value(value),
    }
}

fn canonicalize_field(field: &Value) -> Value {
    match field {
        Value::Object(attributes) => Value::Object(sort_members(attributes, |name, value| match name {
            "type" => canonicalize_schema(value),
            _ => canonicalize_value(value),
        })),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            canonicalize_value(field)
        }
    }
}

/// Sorts the members of a value that is not a schema, such as a default.
fn canonicalize_value(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(canonicalize_value).collect(),
        Value::Object(members) => Value::Object(sort_members(members, |_, value| canonicalize_value(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// Sorts members by name, whether or not the map keeps the order of insertion.
fn sort_members(members: &Map<String, Value>, each: impl Fn(&str, &Value) -> Value) -> Map<String, Value> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| name.as_str());
    members.into_iter().map(|(name, value)| (name.clone(), each(name, value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn have_same_canonical_form(one: &str, other: &str) -> bool {
        AvroSchema::parse(one).unwrap().canonical() == AvroSchema::parse(other).unwrap().canonical()
    }

    #[test]
    fn spaces_and_the_order_of_attributes_make_no_difference() {
        assert!(have_same_canonical_form(
            r#"{"type":"record","name":"a.B","fields":[{"name":"x","type":"int","default":1}]}"#,
            r#"{ "name": "a.B", "fields": [ {"default": 1, "type": {"type": "int"}, "name": "x"} ], "type": "record" }"#,
        ));
        assert!(have_same_canonical_form(r#""string""#, r#"{"type": "string"}"#));
    }

    #[test]
    fn attributes_that_a_reader_uses_make_a_difference() {
        let schema = |field: &str| format!(r#"{{"type":"record","name":"B","fields":[{{"name":"x",{field}}}]}}"#);
        let plain = schema(r#""type":"int""#);
        for other in [r#""type":"int","default":1"#, r#""type":"int","doc":"why""#, r#""type":"long""#] {
            assert!(!have_same_canonical_form(&plain, &schema(other)), "{other}");
        }
    }

    #[test]
    fn a_default_that_looks_like_a_schema_is_not_canonicalized_as_one() {
        let inner = r#"{"type":"record","name":"I","fields":[{"name":"type","type":"string"}]}"#;
        let text = format!(
            r#"{{"type":"record","name":"B","fields":[{{"name":"x","type":{inner},"default":{{"type":"string"}}}}]}}"#
        );
        assert!(AvroSchema::parse(&text).unwrap().canonical().contains(r#""default":{"type":"string"}"#));
    }

    #[test]
    fn an_invalid_schema_is_refused_with_the_reason() {
        let reason = |text: &str| AvroSchema::parse(text).unwrap_err().to_string();
        assert_eq!(reason(" "), "Empty schema");
        assert!(reason("{").starts_with("Invalid schema: it is not JSON"), "{}", reason("{"));
        assert!(reason(r#"{"type":"rekord"}"#).contains("rekord"), "{}", reason(r#"{"type":"rekord"}"#));
        let long = format!("\"{}\"", "x".repeat(MAX_SCHEMA_BYTES));
        assert!(reason(&long).contains("more than the maximum of 524288"));
        let deep = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(100_000 / 24), "}".repeat(100_000 / 24));
        assert!(reason(&deep).contains("recursion limit"), "{}", reason(&deep));
        let nested = format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(100), "}".repeat(100));
        assert_eq!(reason(&nested), "Invalid schema: its types are nested more than 64 levels deep");
    }
}
