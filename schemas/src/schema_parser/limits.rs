//! Limits on the size of a schema, checked on its JSON before it is parsed.

use serde_json::{Map, Value};

use super::SchemaParseError;

/// Maximum number of types, fields, symbols and aliases in a schema.
pub const MAX_SCHEMA_ELEMENTS: usize = 10_000;

/// Maximum nesting of types.
pub const MAX_TYPE_NESTING: usize = 64;

/// Maximum size of what the library copies, in approximate bytes of JSON; in memory it is several times as much.
const MAX_COPIED_BYTES: usize = 16 * 1024 * 1024;

/// The approximate size of a value in addition to its text.
const VALUE_BYTES: usize = 16;

/// Checks that a schema is small enough to be parsed.
pub(super) fn check_limits(schema: &Value) -> Result<(), SchemaParseError> {
    SchemaElementCount(0).add_type(schema, 1)?;
    let mut copied = 0;
    weigh_value(schema, &mut copied);
    if copied > MAX_COPIED_BYTES { Err(SchemaParseError::TooManyCopies) } else { Ok(()) }
}

struct SchemaElementCount(usize);

impl SchemaElementCount {
    fn add(&mut self, elements: usize) -> Result<(), SchemaParseError> {
        self.0 = self.0.saturating_add(elements);
        if self.0 > MAX_SCHEMA_ELEMENTS { Err(SchemaParseError::TooManyElements) } else { Ok(()) }
    }

    fn add_type(&mut self, schema: &Value, depth: usize) -> Result<(), SchemaParseError> {
        if depth > MAX_TYPE_NESTING {
            return Err(SchemaParseError::TooDeep);
        }
        self.add(1)?;
        match schema {
            Value::Array(branches) => branches.iter().try_for_each(|branch| self.add_type(branch, depth + 1)),
            Value::Object(attributes) => self.add_attributes(attributes, depth),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn add_attributes(&mut self, attributes: &Map<String, Value>, depth: usize) -> Result<(), SchemaParseError> {
        self.add(count_items(attributes.get("aliases")))?;
        let Some(kind) = attributes.get("type") else { return Ok(()) };
        match kind.as_str() {
            Some("record") => match require_attribute(attributes, "record", "fields")?.as_array() {
                Some(fields) => fields.iter().try_for_each(|field| self.add_field(field, depth)),
                None => Ok(()),
            },
            Some("enum") => self.add(count_items(Some(require_attribute(attributes, "enum", "symbols")?))),
            Some("fixed") => require_attribute(attributes, "fixed", "size").map(drop),
            Some("array") => attributes.get("items").map_or(Ok(()), |items| self.add_type(items, depth + 1)),
            Some("map") => attributes.get("values").map_or(Ok(()), |values| self.add_type(values, depth + 1)),
            Some(_) => Ok(()),
            None => self.add_type(kind, depth + 1),
        }
    }

    fn add_field(&mut self, field: &Value, depth: usize) -> Result<(), SchemaParseError> {
        self.add(1 + count_items(field.get("aliases")))?;
        field.get("type").map_or(Ok(()), |schema| self.add_type(schema, depth + 1))
    }
}

/// The attribute of a definition. Without it the library would look for a type named `record` and copy that.
fn require_attribute<'a>(
    attributes: &'a Map<String, Value>,
    kind: &'static str,
    attribute: &'static str,
) -> Result<&'a Value, SchemaParseError> {
    attributes.get(attribute).ok_or(SchemaParseError::MissingAttribute { kind, attribute })
}

fn count_items(list: Option<&Value>) -> usize {
    list.and_then(Value::as_array).map_or(0, Vec::len)
}

/// The approximate size of a value in bytes of JSON. Adds to `copied` what the library copies of it: each named type
/// with its content, once for its name and once for each alias, and each type with a logical type.
fn weigh_value(value: &Value, copied: &mut usize) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(|value| weigh_value(value, copied)).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| name.len() + weigh_value(value, copied)).sum(),
    };
    let weight = VALUE_BYTES + inner;
    if value.get("logicalType").is_some() {
        *copied = copied.saturating_add(weight);
    }
    if let Some("record" | "enum" | "fixed") = value.get("type").and_then(Value::as_str) {
        let definitions = 1 + count_items(value.get("aliases"));
        *copied = copied.saturating_add(weight.saturating_mul(definitions));
    }
    weight
}
