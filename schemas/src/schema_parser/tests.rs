//! Tests that valid schemas parse as with the library, and that the cost of parsing is bounded.

use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::all_schemas,
    fixture::doubling::{doubling_fields, record},
};

fn parse_value(schema: &Value) -> Result<Schema, SchemaParseError> {
    parse_schema(&schema.to_string())
}

fn with_default(schema: &Value, default: &Value) -> Value {
    record("R", &json!([{ "name": "f", "type": schema, "default": default }]))
}

#[test]
fn recorded_schemas_parse_as_the_library_parses_them() {
    for schema in all_schemas() {
        let (ours, theirs) = (parse_schema(schema.json).unwrap(), Schema::parse_str(schema.json).unwrap());
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{}", schema.subject);
    }
}

#[test]
fn defaults_are_accepted_and_refused_as_by_the_library() {
    let inner = |fields: Value| record("Inner", &fields);
    let color = json!({ "type": "enum", "name": "Color", "symbols": ["red"] });
    for (schema, default, fits) in [
        (json!("null"), json!(null), true),
        (json!("boolean"), json!(true), true),
        (json!("boolean"), json!("true"), false),
        (json!("int"), json!(7), true),
        (json!("int"), json!(3_000_000_000_u64), false),
        (json!("int"), json!(null), false),
        (json!("long"), json!(3_000_000_000_u64), true),
        (json!("long"), json!(1.5), false),
        (json!("double"), json!(1), true),
        (json!("double"), json!("NaN"), true),
        (json!("double"), json!("a"), false),
        (json!("bytes"), json!("a"), true),
        (json!("string"), json!("a"), true),
        (json!("string"), json!(1), false),
        (json!(["null", "int"]), json!(null), true),
        (json!(["null", "int"]), json!(7), true),
        (json!(["null", "int"]), json!("a"), false),
        (color.clone(), json!("red"), true),
        (color, json!("blue"), false),
        (json!({ "type": "array", "items": "int" }), json!([1, 2]), true),
        (json!({ "type": "array", "items": "int" }), json!(["a"]), false),
        (json!({ "type": "map", "values": "int" }), json!({ "a": 1 }), true),
        (json!({ "type": "map", "values": "int" }), json!({ "a": "b" }), false),
        (inner(json!([{ "name": "n", "type": "int" }])), json!({ "n": 1 }), true),
        (inner(json!([{ "name": "n", "type": "int" }])), json!({}), false),
        (inner(json!([{ "name": "n", "type": "int", "default": 1 }])), json!({}), true),
        (inner(json!([{ "name": "n", "type": "int", "default": 1 }])), json!(1), false),
        (json!({ "type": "long", "logicalType": "timestamp-micros" }), json!(1), true),
        (json!(["null", "R"]), json!(null), true),
        (json!("R"), json!({}), false),
    ] {
        let schema = with_default(&schema, &default);
        assert_eq!(parse_value(&schema).is_ok(), fits, "{schema}");
        assert_eq!(Schema::parse(&schema).is_ok(), fits, "the library: {schema}");
        let Ok(Schema::Record(parsed)) = parse_value(&schema) else { continue };
        assert_eq!(parsed.fields[0].default, Some(default), "{schema}");
        assert!(parsed.fields[0].custom_attributes.is_empty(), "{schema}");
    }
}

#[test]
fn defaults_that_complete_each_other_are_checked_once() {
    let leaf = json!([{ "name": "n", "type": "int", "default": 0 }]);
    for levels in [40, 200] {
        let schema = record("top", &json!(doubling_fields("d", levels, &leaf, Some(&json!({})))));
        let parsed = parse_value(&schema).unwrap();
        let steps = defaults::check_defaults(&parsed).unwrap();
        assert!(steps <= 8 * levels, "{steps} steps for {levels} levels");
    }
}

#[test]
fn an_infinite_default_is_refused() {
    // The library accepts two definitions of a type, so that a default may belong to a type that contains it.
    let defined_twice = record(
        "top",
        &json!([
            { "name": "first", "type": record("R", &json!([])) },
            { "name": "second", "type": record("R", &json!([{ "name": "again", "type": "R", "default": {} }])) },
            { "name": "third", "type": "R", "default": {} },
        ]),
    );
    let refused = parse_value(&defined_twice).unwrap_err();
    assert!(matches!(&refused, SchemaParseError::InvalidDefault { field } if field == "again"), "{refused}");
}

#[test]
fn schemas_beyond_the_limits_are_refused() {
    let arrays = |depth: usize| (0..depth).fold(json!("int"), |items, _| json!({ "type": "array", "items": items }));
    assert!(parse_value(&arrays(MAX_TYPE_NESTING - 1)).is_ok());
    assert!(matches!(parse_value(&arrays(MAX_TYPE_NESTING)), Err(SchemaParseError::TooDeep)));

    let fields = |count: usize| (0..count).map(|at| json!({ "name": format!("f{at}"), "type": "int" }));
    let wide = |count: usize| record("R", &fields(count).collect());
    assert!(parse_value(&wide(MAX_SCHEMA_ELEMENTS / 2 - 1)).is_ok());
    assert!(matches!(parse_value(&wide(MAX_SCHEMA_ELEMENTS / 2)), Err(SchemaParseError::TooManyElements)));

    let names: Vec<_> = (0..2_000).map(|at| format!("N{at}")).collect();
    let renamed = json!({ "type": "record", "name": "R", "aliases": names, "doc": "x".repeat(100_000), "fields": [] });
    assert!(matches!(parse_value(&renamed), Err(SchemaParseError::TooManyCopies)));
}

#[test]
fn an_incomplete_definition_is_not_resolved_to_a_type_with_the_name_of_its_kind() {
    let copied = record(
        "top",
        &json!([
            { "name": "a", "type": record("record", &json!([{ "name": "n", "type": "int" }])) },
            { "name": "b", "type": { "type": "record" } },
        ]),
    );
    let refused = parse_value(&copied).unwrap_err();
    assert!(matches!(refused, SchemaParseError::MissingAttribute { kind: "record", .. }), "{refused}");
}
