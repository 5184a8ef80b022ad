//! Hides the defaults of fields from the library, and checks them without completing any.
//!
//! A default that leaves out fields of a record is completed with their defaults, which are completed in turn. To know
//! whether that succeeds, it is enough to check each pair of a value and a type once; the completed value is never
//! built.

use std::collections::HashMap;

use apache_avro::{
    Schema,
    schema::{EnumSchema, RecordSchema, UnionSchema},
};
use serde_json::{Map, Value};

use super::SchemaParseError;
use crate::{
    named_schemas::NamedSchemas,
    storage_form::{StorageForm, storage_form},
};

/// The attribute that holds a field's default while the library parses: it retains attributes that it does not know.
const HIDDEN_DEFAULT: &str = "medhub:hidden-default";

/// Maximum number of pairs of a value and a type, and of record fields, in one check.
const MAX_CHECK_STEPS: usize = 1_000_000;

/// Maximum nesting of a default, including its completion.
const MAX_DEFAULT_DEPTH: usize = 256;

/// Moves the defaults of a schema's fields to [`HIDDEN_DEFAULT`].
pub(super) fn hide_defaults(schema: &mut Value) {
    match schema {
        Value::Array(branches) => branches.iter_mut().for_each(hide_defaults),
        Value::Object(attributes) => hide_in_attributes(attributes),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn hide_in_attributes(attributes: &mut Map<String, Value>) {
    let inner = match attributes.get("type").map(Value::as_str) {
        Some(Some("record")) => {
            let fields = attributes.get_mut("fields").and_then(Value::as_array_mut);
            return fields.into_iter().flatten().for_each(hide_field_default);
        }
        Some(Some("array")) => "items",
        Some(Some("map")) => "values",
        Some(None) => "type",
        Some(Some(_)) | None => return,
    };
    if let Some(inner) = attributes.get_mut(inner) {
        hide_defaults(inner);
    }
}

fn hide_field_default(field: &mut Value) {
    let Value::Object(attributes) = field else { return };
    attributes.remove(HIDDEN_DEFAULT);
    if let Some(default) = attributes.remove("default") {
        attributes.insert(HIDDEN_DEFAULT.to_owned(), default);
    }
    if let Some(schema) = attributes.get_mut("type") {
        hide_defaults(schema);
    }
}

/// Moves the defaults from [`HIDDEN_DEFAULT`] back to the fields.
///
/// # Errors
/// None in practice: a union that the library has built can be built again.
#[expect(clippy::wildcard_enum_match_arm, reason = "only these hold fields")]
pub(super) fn restore_defaults(schema: &mut Schema) -> Result<(), apache_avro::Error> {
    match schema {
        Schema::Record(record) => {
            for field in &mut record.fields {
                field.default = field.custom_attributes.remove(HIDDEN_DEFAULT);
                restore_defaults(&mut field.schema)?;
            }
        }
        Schema::Array(array) => restore_defaults(&mut array.items)?,
        Schema::Map(map) => restore_defaults(&mut map.types)?,
        Schema::Union(union) => {
            let mut branches = union.variants().to_vec();
            branches.iter_mut().try_for_each(restore_defaults)?;
            *union = UnionSchema::new(branches)?;
        }
        _ => {}
    }
    Ok(())
}

/// Checks that every default matches its field's type; returns the number of steps.
pub(super) fn check_defaults(schema: &Schema) -> Result<usize, SchemaParseError> {
    let mut check = DefaultCheck { names: NamedSchemas::from_schema(schema), known: HashMap::new(), steps: 0 };
    check.check_schema(schema)?;
    Ok(check.steps)
}

struct DefaultCheck<'s> {
    names: NamedSchemas<'s>,
    /// Whether a value matches a type; `false` while the pair is being checked, since a default that contains itself is
    /// infinite.
    known: HashMap<(*const Value, *const Schema), bool>,
    steps: usize,
}

impl<'s> DefaultCheck<'s> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these hold fields")]
    fn check_schema(&mut self, schema: &'s Schema) -> Result<(), SchemaParseError> {
        match schema {
            Schema::Record(record) => {
                for field in &record.fields {
                    self.check_schema(&field.schema)?;
                    let Some(default) = &field.default else { continue };
                    if !self.is_value_of(default, &field.schema, 0)? {
                        return Err(SchemaParseError::InvalidDefault { field: field.name.chars().take(64).collect() });
                    }
                }
                Ok(())
            }
            Schema::Array(array) => self.check_schema(&array.items),
            Schema::Map(map) => self.check_schema(&map.types),
            Schema::Union(union) => union.variants().iter().try_for_each(|branch| self.check_schema(branch)),
            _ => Ok(()),
        }
    }

    fn is_value_of(&mut self, value: &'s Value, schema: &'s Schema, depth: usize) -> Result<bool, SchemaParseError> {
        let schema = self.names.resolve(schema);
        let pair = (std::ptr::from_ref(value), std::ptr::from_ref(schema));
        if let Some(known) = self.known.get(&pair) {
            return Ok(*known);
        }
        self.add_steps(1)?;
        if depth > MAX_DEFAULT_DEPTH {
            return Err(SchemaParseError::DefaultsTooLarge);
        }
        self.known.insert(pair, false);
        let is_value = match (schema, value) {
            (Schema::Union(union), value) => {
                let mut branches = union.variants().iter();
                any_holds(&mut branches, |branch| self.is_value_of(value, branch, depth + 1))?
            }
            (Schema::Record(record), Value::Object(members)) => self.is_record(members, record, depth)?,
            (Schema::Array(array), Value::Array(items)) => {
                all_hold(&mut items.iter(), |item| self.is_value_of(item, &array.items, depth + 1))?
            }
            (Schema::Map(map), Value::Object(members)) => {
                all_hold(&mut members.values(), |member| self.is_value_of(member, &map.types, depth + 1))?
            }
            (schema, value) => is_simple_value(value, schema),
        };
        self.known.insert(pair, is_value);
        Ok(is_value)
    }

    fn is_record(
        &mut self,
        members: &'s Map<String, Value>,
        record: &'s RecordSchema,
        depth: usize,
    ) -> Result<bool, SchemaParseError> {
        self.add_steps(record.fields.len())?;
        all_hold(&mut record.fields.iter(), |field| match members.get(&field.name).or(field.default.as_ref()) {
            Some(value) => self.is_value_of(value, &field.schema, depth + 1),
            None => Ok(false),
        })
    }

    fn add_steps(&mut self, steps: usize) -> Result<(), SchemaParseError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_CHECK_STEPS { Err(SchemaParseError::DefaultsTooLarge) } else { Ok(()) }
    }
}

fn all_hold<T>(
    values: &mut impl Iterator<Item = T>,
    mut holds: impl FnMut(T) -> Result<bool, SchemaParseError>,
) -> Result<bool, SchemaParseError> {
    for value in values {
        if !holds(value)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn any_holds<T>(
    values: &mut impl Iterator<Item = T>,
    mut holds: impl FnMut(T) -> Result<bool, SchemaParseError>,
) -> Result<bool, SchemaParseError> {
    for value in values {
        if holds(value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a value matches a type without inner types. As lenient as the library, since existing schemas use what the
/// library accepts.
fn is_simple_value(value: &Value, schema: &Schema) -> bool {
    match storage_form(schema) {
        StorageForm::Null => value.is_null(),
        StorageForm::Boolean => value.is_boolean(),
        StorageForm::Int => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        StorageForm::Long => value.as_i64().is_some(),
        StorageForm::Float | StorageForm::Double => {
            let not_finite = ["NaN", "INF", "Infinity", "-INF", "-Infinity"];
            value.is_number() || value.as_str().is_some_and(|text| not_finite.contains(&text))
        }
        StorageForm::Bytes if matches!(schema, Schema::Bytes) => {
            let is_byte = |item: &Value| item.as_u64().is_some_and(|n| u8::try_from(n).is_ok());
            value.is_string() || value.as_array().is_some_and(|items| items.iter().all(is_byte))
        }
        StorageForm::Bytes | StorageForm::Fixed(_) => value.is_string(),
        StorageForm::Other => {
            let Schema::Enum(EnumSchema { symbols, default, .. }) = schema else { return false };
            value.as_str().is_some_and(|text| default.is_some() || symbols.iter().any(|symbol| symbol == text))
        }
    }
}
