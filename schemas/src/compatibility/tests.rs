//! Tests that the check finds and names incompatibilities, and that it agrees with the library's check.

mod bounds;

use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde_json::{Value, json};

use super::*;
use crate::catalog;

fn parse_schema(schema: &Value) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap_or_else(|error| panic!("{error}: {schema}"))
}

/// Whether the library's check says that every datum can be read.
fn library_accepts(reader: &Schema, writer: &Schema) -> bool {
    matches!(SchemaCompatibility::can_read(writer, reader), Ok(Compatibility::Full))
}

fn find_reasons(reader: &Value, writer: &Value) -> Vec<String> {
    find_incompatibilities(&parse_schema(reader), &parse_schema(writer)).iter().map(ToString::to_string).collect()
}

fn record(fields: &Value) -> Value {
    json!({ "type": "record", "name": "x.Award", "fields": fields })
}

fn field(schema: &Value) -> Value {
    record(&json!([{ "name": "f", "type": schema }]))
}

fn symbols(symbols: &[&str]) -> Value {
    field(&json!({ "type": "enum", "name": "E", "symbols": symbols }))
}

/// New schema, old schema, expected problems.
fn cases() -> Vec<(Value, Value, &'static [&'static str])> {
    let nested = |inner: Value| field(&json!({ "type": "record", "name": "Inner", "fields": inner }));
    let items = |schema: &str| field(&json!({ "type": "array", "items": schema }));
    let values = |schema: &str| field(&json!({ "type": "map", "values": schema }));
    let plain = |schema: &str| field(&json!(schema));
    let fixed = |size: u32| field(&json!({ "type": "fixed", "name": "F", "size": size }));
    let with = |more: Value| record(&json!([{ "name": "f", "type": "string" }, more]));
    vec![
        (plain("string"), plain("string"), &[]),
        (with(json!({ "name": "g", "type": "int", "default": 0 })), plain("string"), &[]),
        (with(json!({ "name": "g", "type": "int" })), plain("string"), &["g: is new and has no default"]),
        (with(json!({ "name": "g", "type": ["null", "int"] })), plain("string"), &["g: is new and has no default"]),
        (plain("string"), with(json!({ "name": "g", "type": "int" })), &[]),
        (plain("int"), plain("string"), &["f: changed from string to int"]),
        (plain("long"), plain("int"), &[]),
        (plain("double"), plain("long"), &[]),
        (plain("int"), plain("long"), &["f: changed from long to int"]),
        (plain("float"), plain("double"), &["f: changed from double to float"]),
        (plain("bytes"), plain("string"), &[]),
        (plain("boolean"), plain("null"), &["f: changed from null to boolean"]),
        (field(&json!(["null", "string"])), plain("string"), &[]),
        (plain("string"), field(&json!(["null", "string"])), &["f: changed from null to string"]),
        (field(&json!(["null", "int"])), field(&json!(["null", "string"])), &["f: changed from string to int"]),
        (
            field(&json!(["int", "boolean"])),
            field(&json!(["null", "boolean"])),
            &["f: null can no longer be read, and older data may have it"],
        ),
        (field(&json!(["null", "long"])), field(&json!(["int", "null"])), &[]),
        (symbols(&["a", "b", "c"]), symbols(&["a", "b"]), &[]),
        (symbols(&["b", "a"]), symbols(&["a", "b"]), &[]),
        (symbols(&["a"]), symbols(&["a", "b"]), &["f: the symbol b was removed, and there is no default"]),
        (field(&json!({ "type": "enum", "name": "E", "symbols": ["a"], "default": "a" })), symbols(&["a", "b"]), &[]),
        (
            field(&json!({ "type": "enum", "name": "G", "symbols": ["a"] })),
            symbols(&["a"]),
            &["f: the enum E was renamed to G"],
        ),
        (
            nested(json!([{ "name": "a", "type": "int" }, { "name": "b", "type": "int" }])),
            nested(json!([{ "name": "a", "type": "string" }])),
            &["f.a: changed from string to int", "f.b: is new and has no default"],
        ),
        (record(&json!([{ "name": "g", "type": "string", "aliases": ["f"] }])), plain("string"), &[]),
        (record(&json!([{ "name": "g", "type": "string" }])), plain("string"), &["g: is new and has no default"]),
        (
            json!({ "type": "record", "name": "x.Contract", "fields": [] }),
            record(&json!([])),
            &["Award: the record Award was renamed to Contract"],
        ),
        (items("long"), items("int"), &[]),
        (items("string"), items("int"), &["f[]: changed from int to string"]),
        (values("int"), values("long"), &["f{}: changed from long to int"]),
        (items("int"), values("int"), &["f: changed from map to array"]),
        (fixed(4), fixed(4), &[]),
        (fixed(4), fixed(5), &["f: changed from fixed to fixed"]),
    ]
}

#[test]
fn incompatibilities_are_named() {
    for (new, old, problems) in cases() {
        assert_eq!(find_reasons(&new, &old), problems, "{old} -> {new}");
    }
}

#[test]
fn the_library_agrees_with_every_case() {
    for (new, old, problems) in cases() {
        assert_eq!(library_accepts(&parse_schema(&new), &parse_schema(&old)), problems.is_empty(), "{old} -> {new}");
    }
}

#[test]
fn another_meaning_of_a_number_is_incompatible() {
    let time = |unit: &str| field(&json!({ "type": "long", "logicalType": unit }));
    let (micros, millis, plain) = (time("timestamp-micros"), time("timestamp-millis"), field(&json!("long")));
    assert_eq!(find_reasons(&millis, &micros), ["f: changed its meaning from timestamp-micros to timestamp-millis"]);
    assert_eq!(find_reasons(&plain, &micros), ["f: changed its meaning from timestamp-micros to long"]);
    assert!(library_accepts(&parse_schema(&millis), &parse_schema(&micros)), "the specification allows it");
}

#[test]
fn the_comparison_of_recursive_types_ends() {
    let tree = |leaf: &str| {
        json!({ "type": "record", "name": "T", "fields": [
            { "name": "leaf", "type": leaf },
            { "name": "left", "type": ["null", "T"] },
            { "name": "more", "type": { "type": "array", "items": "T" } },
        ] })
    };
    assert_eq!(find_reasons(&tree("int"), &tree("int")), Vec::<String>::new());
    assert_eq!(find_reasons(&tree("int"), &tree("string"))[0], "leaf: changed from string to int");
}

/// All schemas that differ from this one in one place.
fn mutations(schema: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match schema {
        Value::Object(fields) => {
            for (name, value) in fields {
                for changed in mutations(value) {
                    let mut schema = schema.clone();
                    schema[name] = changed;
                    all.push(schema);
                }
                if name == "default" {
                    let mut without = fields.clone();
                    without.remove(name);
                    all.push(Value::Object(without));
                }
                if let ("name", Some(text)) = (name.as_str(), value.as_str()) {
                    let mut schema = schema.clone();
                    schema[name] = json!(format!("{text}x"));
                    all.push(schema);
                }
            }
        }
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                let mut without = elements.clone();
                without.remove(at);
                if !without.is_empty() {
                    all.push(Value::Array(without));
                }
                for changed in mutations(element) {
                    let mut elements = elements.clone();
                    elements[at] = changed;
                    all.push(Value::Array(elements));
                }
            }
        }
        Value::String(text) => {
            let types = ["null", "boolean", "int", "long", "double", "string"];
            all.extend(types.iter().filter(|kind| types.contains(&text.as_str()) && *kind != text).map(|t| json!(t)));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    all
}

#[test]
fn the_library_agrees_on_every_mutation_of_every_recorded_schema() {
    let (mut compared, mut broken) = (0, 0);
    for schema in catalog::all_schemas() {
        let original: Value = serde_json::from_str(schema.json).unwrap();
        let parsed_original = parse_schema(&original);
        for mutant in mutations(&original) {
            let Ok(changed) = Schema::parse_str(&mutant.to_string()) else { continue };
            for (new, old) in [(&changed, &parsed_original), (&parsed_original, &changed)] {
                let mut problems = find_incompatibilities(new, old);
                // The library does not compare meanings.
                problems.retain(|problem| !problem.reason.starts_with("changed its meaning"));
                assert_eq!(library_accepts(new, old), problems.is_empty(), "{problems:?}\n{mutant}");
                compared += 1;
                broken += usize::from(!problems.is_empty());
            }
        }
    }
    assert!(compared > 500 && broken > 100 && broken < compared, "{broken} of {compared}");
}
