//! Tests of encoding and decoding, and of the errors for payloads and schemas that do not match.

mod hostile_schemas;
mod library;
mod speed;

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::{all_schemas, find_schema},
    fixture::{AnyEvent, any_event, schema_of, typical_event},
};

fn encode_event(event: &AnyEvent, json: &str) -> Vec<u8> {
    let mut avro = b"before".to_vec();
    schema_of(event).encode(json, &mut avro).unwrap_or_else(|mismatch| panic!("{mismatch}\n{json}"));
    avro.split_off(6)
}

fn decode_event(event: &AnyEvent, avro: &[u8]) -> String {
    EventDecoder::parse(schema_of(event).json).unwrap().decode_to_json(avro).unwrap()
}

/// The same JSON with the fields of every object in reverse order.
fn reverse_fields(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .rev()
                .map(|(name, value)| format!("{}: {}", json!(name), reverse_fields(value)))
                .collect();
            format!("{{ {} }}", fields.join(" , "))
        }
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

proptest! {
    #[test]
    fn decoding_an_encoded_event_gives_the_same_text(event in any_event()) {
        let json = serde_json::to_string(&event).unwrap();
        let decoded = decode_event(&event, &encode_event(&event, &json));
        prop_assert_eq!(&decoded, &json);
        prop_assert_eq!(event.parse_same_kind(&decoded).unwrap(), event);
    }

    #[test]
    fn fields_may_come_in_any_order(event in any_event()) {
        let value = serde_json::to_value(&event).unwrap();
        let in_order = encode_event(&event, &serde_json::to_string(&event).unwrap());
        prop_assert_eq!(encode_event(&event, &reverse_fields(&value)), in_order);
    }

    #[test]
    fn decoding_arbitrary_bytes_does_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        which in any::<prop::sample::Index>(),
    ) {
        let _ = EventDecoder::parse(which.get(all_schemas()).json).unwrap().decode_to_json(&bytes);
    }

    #[test]
    fn a_damaged_datum_gives_valid_json_or_an_error(
        event in any_event(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut avro = encode_event(&event, &serde_json::to_string(&event).unwrap());
        let decoder = EventDecoder::parse(schema_of(&event).json).unwrap();
        prop_assert!(decoder.decode_to_json(&avro[..at.index(avro.len())]).is_err(), "a truncated datum");
        *at.get_mut(&mut avro) = byte;
        if let Ok(json) = decoder.decode_to_json(&avro) {
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok());
        }
    }
}

/// The constructs of a schema: its types, and that fields are optional or have a default.
fn collect_constructs(schema: &Value, into: &mut BTreeSet<String>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| collect_constructs(branch, into)),
        Value::Object(_) => {
            let name = schema["logicalType"].as_str().or_else(|| schema["type"].as_str()).unwrap_or_default();
            into.insert(name.to_owned());
            for field in schema["fields"].as_array().into_iter().flatten() {
                into.extend(field.get("default").map(|default| format!("default {default}")));
                collect_constructs(&field["type"], into);
            }
            collect_constructs(&schema["items"], into);
        }
        Value::String(name) => {
            into.insert(name.clone());
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn generated_events_have_every_construct_of_the_schemas() {
    let constructs_of = |is_included: fn(&str) -> bool| {
        let mut constructs = BTreeSet::new();
        for schema in all_schemas().iter().filter(|schema| is_included(schema.event_type)) {
            collect_constructs(&serde_json::from_str(schema.json).unwrap(), &mut constructs);
        }
        constructs
    };
    let is_generated = |event_type: &str| {
        ["document.", "opportunity.", "proposal_generation."].iter().any(|prefix| event_type.starts_with(prefix))
    };
    let (all, generated) = (constructs_of(|_| true), constructs_of(is_generated));
    assert!(all.contains("default null") && all.contains("array"), "{all:?}");
    assert_eq!(all, generated, "`fixture` also needs a generator of events that have them");
}

#[test]
fn the_error_names_a_field_that_only_the_rust_type_has() {
    let changed_schema = find_schema("opportunity.awarded", "1.0").unwrap().json.replace("\"awardee\"", "\"winner\"");
    let tree = SchemaTree::parse(&changed_schema).unwrap();
    let event = r#"{"type":"awarded","key":"k","award":{"awardee":"Ridgeway"}}"#;
    let mismatch = encode_payload(&tree, event, &mut vec![]).unwrap_err();
    assert_eq!(mismatch.to_string(), "award.awardee: is not in the schema");
}

#[test]
fn the_error_names_the_field_that_does_not_match() {
    let valid = serde_json::to_value(typical_event()).unwrap();
    let schema = schema_of(&typical_event());
    let with = |pointer: &str, value: Value| {
        let mut event = valid.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string()
    };
    let mut without = valid.clone();
    without["filing"].as_object_mut().unwrap().remove("digest");
    let mut more = valid.clone();
    more["facts"]["place"]["planet"] = json!("Mars");
    let cases = [
        (without.to_string(), "filing.digest: is missing; expected a text"),
        (more.to_string(), "facts.place.planet: is not in the schema"),
        (with("/type", json!("awarded")), "type: expected one of discovered, found the text \"awarded\""),
        (with("/facts/title", json!(7)), "facts.title: expected a text, found the number 7"),
        (with("/facts/title", Value::Null), "facts.title: expected a text, found null"),
        (with("/facts/psc", json!(6530)), "facts.psc: expected a text or null, found the number 6530"),
        (with("/facts/active", json!("yes")), "facts.active: expected true or false or null, found the text \"yes\""),
        (with("/facts/place", json!("Dayton")), "facts.place: expected an object or null, found the text \"Dayton\""),
        (with("/facts/title", json!({})), "facts.title: expected a text, found an object"),
        (with("/facts/title", json!(["a"])), "facts.title: expected a text, found a list"),
        (with("/facts/title", json!(true)), "facts.title: expected a text, found true"),
        (with("/facts", json!(1.5)), "facts: expected an object, found the number 1.5"),
        (
            with("/filing/posted_at", json!("yesterday")),
            "filing.posted_at: expected a time like 2026-03-01T12:00:00Z, found the text \"yesterday\"",
        ),
        (
            with("/facts/archive_on", json!("2026-02-30")),
            "facts.archive_on: expected a date like 2026-03-01 or null, found the text \"2026-02-30\"",
        ),
        ("[]".to_owned(), "payload: expected an object, found a list"),
        ("7".to_owned(), "payload: expected an object, found the number 7"),
    ];
    for (event, message) in cases {
        let mut into = b"before".to_vec();
        assert_eq!(schema.encode(&event, &mut into).unwrap_err().to_string(), message);
        assert_eq!(into, b"before", "a failed encoding leaves bytes behind");
    }
    for broken in ["", "{", "{\"type\":\"discovered\"", &format!("{valid} x"), "{\"type\":\"disc\u{1}\"}"] {
        let mismatch = schema.encode(broken, &mut vec![]).unwrap_err();
        assert!(mismatch.reason.starts_with("cannot be read as JSON"), "{mismatch}");
    }
    let twice = valid.to_string().replacen("\"digest\"", "\"digest\":\"x\",\"digest\"", 1);
    let mismatch = schema.encode(&twice, &mut vec![]).unwrap_err();
    assert_eq!(mismatch.to_string(), "filing.digest: occurs twice");
}

#[test]
fn amounts_of_64_bits_are_exact_and_others_are_refused() {
    let schema = find_schema("opportunity.awarded", "1.0").unwrap();
    let event = |amount: &str| format!(r#"{{"type":"awarded","key":"k","award":{{"amount":{amount}}}}}"#);
    for amount in ["9223372036854775807", "-9223372036854775808", "0"] {
        let mut avro = vec![];
        schema.encode(&event(amount), &mut avro).unwrap();
        assert_eq!(EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap(), event(amount));
    }
    for amount in ["9223372036854775808", "1.0", "1e3"] {
        let mismatch = schema.encode(&event(amount), &mut vec![]).unwrap_err();
        assert_eq!(mismatch.path, "award.amount", "{amount}");
    }
}

#[test]
fn times_are_truncated_to_microseconds() {
    let schema = find_schema("opportunity.deadline_changed", "1.1").unwrap();
    let event = |time: &str| format!(r#"{{"type":"deadline_changed","notice_id":"n","from":null,"to":"{time}"}}"#);
    let mut avro = vec![];
    schema.encode(&event("2026-03-03T12:17:50.123456789+01:00"), &mut avro).unwrap();
    let decoded = EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap();
    assert_eq!(decoded, event("2026-03-03T11:17:50.123456Z"));
}

#[test]
fn a_nullable_field_may_be_absent() {
    let schema = find_schema("opportunity.deadline_changed", "1.1").unwrap();
    let (mut sparse, mut complete) = (vec![], vec![]);
    schema.encode(r#"{"type":"deadline_changed","notice_id":"n"}"#, &mut sparse).unwrap();
    let nulls = r#"{"type":"deadline_changed","notice_id":"n","from":null,"to":null,"posted_at":null}"#;
    schema.encode(nulls, &mut complete).unwrap();
    assert_eq!(sparse, complete);
    // Null is written if the field has no default, and left out if it has one.
    let decoded = EventDecoder::parse(schema.json).unwrap().decode_to_json(&complete).unwrap();
    assert_eq!(decoded, r#"{"type":"deadline_changed","notice_id":"n","from":null,"to":null}"#);
}

/// A schema with features that events do not use: nested lists, fractions, other defaults than null, recursion.
const TREE: &str = r#"{"type":"record","name":"Tree","fields":[
    {"name":"name","type":"string","default":"leaf"},
    {"name":"weight","type":"double","default":1.5},
    {"name":"small","type":["int","null"],"default":7},
    {"name":"branches","type":{"type":"array","items":"Tree"},"default":[]}
]}"#;

#[test]
fn lists_numbers_and_defaults_are_encoded_and_decoded() {
    let (tree, decoder) = (SchemaTree::parse(TREE).unwrap(), EventDecoder::parse(TREE).unwrap());
    let mut avro = vec![];
    encode_payload(&tree, r#"{"branches":[{"name":"a","weight":2},{"branches":[{"small":null}]}]}"#, &mut avro)
        .unwrap();
    let leaf = |rest: &str| format!(r#""weight":1.5{rest}"#);
    assert_eq!(
        decoder.decode_to_json(&avro).unwrap(),
        format!(
            r#"{{"name":"leaf",{},"branches":[{{"name":"a","weight":2.0,"small":7,"branches":[]}},{{"name":"leaf",{},"branches":[{{"name":"leaf",{}}}]}}]}}"#,
            leaf(r#","small":7"#),
            leaf(r#","small":7"#),
            leaf(r#","branches":[]"#),
        )
    );
    let mismatch = encode_payload(&tree, r#"{"branches":[{},{"small":3000000000}]}"#, &mut vec![]).unwrap_err();
    assert_eq!(mismatch.path, "branches[1].small");
}

#[test]
fn invalid_lengths_and_excessive_nesting_are_refused() {
    let decoder = EventDecoder::parse(TREE).unwrap();
    let reason = |avro: &[u8]| decoder.decode_to_json(avro).unwrap_err().reason;
    assert!(reason(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).contains("ends too early"));
    assert!(reason(&[0x01]).contains("has the length -1"));
    assert!(reason(&[0xff; 12]).contains("more than 64 bits"));
    let deep: Vec<u8> = [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2].repeat(1_000);
    assert!(reason(&deep).contains("is nested too deeply"));
    let many: Vec<u8> = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..], &[0xfe, 0xff, 0xff, 0xff, 0x7f]].concat();
    assert!(reason(&many).contains("has more items than"), "{}", reason(&many));
}

#[test]
fn the_error_names_the_field_with_an_unsupported_type() {
    let record = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#);
    for (field, reason) in [
        ("\"bytes\"", "events do not support the type"),
        ("[\"string\",\"int\"]", "only of null and one other type"),
        ("{\"type\":\"map\",\"values\":\"int\"}", "events do not support the type"),
    ] {
        let mismatch = EventDecoder::parse(&record(field)).unwrap_err();
        assert!(mismatch.path == "f" && mismatch.reason.contains(reason), "{mismatch}");
    }
    assert_eq!(EventDecoder::parse("{}").unwrap_err().path, "schema");
}
