//! What goes into Avro comes out again, and what does not fit is named.

mod hostile_schemas;
mod library;
mod speed;

use std::{collections::BTreeSet, sync::LazyLock};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

use super::*;
use crate::{
    catalog::{all_schemas, find_schema},
    fixture::{AnyEvent, any_event, schema_of, typical_event},
};

fn encode_event(event: &AnyEvent, json: &str) -> Vec<u8> {
    let mut avro = b"before".to_vec();
    schema_of(event).encode(json, &mut avro).unwrap_or_else(|misfit| panic!("{misfit}\n{json}"));
    avro.split_off(6)
}

fn decode_event(event: &AnyEvent, avro: &[u8]) -> String {
    EventDecoder::parse(schema_of(event).json).unwrap().decode_to_json(avro).unwrap()
}

/// The same JSON with the fields of every object turned round.
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
    fn every_event_comes_back_letter_for_letter(event in any_event()) {
        let json = serde_json::to_string(&event).unwrap();
        let back = decode_event(&event, &encode_event(&event, &json));
        prop_assert_eq!(&back, &json);
        prop_assert_eq!(event.parse_same_kind(&back).unwrap(), event);
    }

    #[test]
    fn fields_may_come_in_any_order(event in any_event()) {
        let value = serde_json::to_value(&event).unwrap();
        let in_order = encode_event(&event, &serde_json::to_string(&event).unwrap());
        prop_assert_eq!(encode_event(&event, &reverse_fields(&value)), in_order);
    }

    #[test]
    fn bytes_that_are_no_datum_are_refused_without_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        which in any::<prop::sample::Index>(),
    ) {
        let _ = EventDecoder::parse(which.get(all_schemas()).json).unwrap().decode_to_json(&bytes);
    }

    #[test]
    fn a_damaged_datum_is_read_as_something_or_refused(
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

/// The fields of a JSON text that say something, e.g. `facts.place.zip`.
fn collect_filled(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect_filled(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, into);
            }
        }
        Value::Null => {}
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            into.insert(path.to_owned());
        }
    }
}

/// Every field of a schema that holds a value, by path.
fn collect_schema_fields(schema: &Value, path: &str, into: &mut BTreeSet<String>) {
    if let Value::Array(branches) = schema {
        branches
            .iter()
            .filter(|branch| **branch != "null")
            .for_each(|branch| collect_schema_fields(branch, path, into));
    } else if let Some(fields) = schema["fields"].as_array() {
        for field in fields {
            let name = field["name"].as_str().unwrap();
            collect_schema_fields(
                &field["type"],
                &if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") },
                into,
            );
        }
    } else {
        into.insert(path.to_owned());
    }
}

/// The fields of an event's schema that none of the events filled.
fn find_unfilled(schema: &str, events: &[String]) -> Vec<String> {
    let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
    collect_schema_fields(&serde_json::from_str(schema).unwrap(), "", &mut wanted);
    for event in events {
        collect_filled(&serde_json::from_str(event).unwrap(), "", &mut found);
    }
    wanted.difference(&found).cloned().collect()
}

/// The events of one type among 800 generated ones, always the same; making them takes most of the time of these tests.
fn generate_events(event_type: &str) -> Vec<String> {
    static EVENTS: LazyLock<Vec<AnyEvent>> = LazyLock::new(|| {
        let mut runner = TestRunner::deterministic();
        (0..800).map(|_| any_event().new_tree(&mut runner).unwrap().current()).collect()
    });
    let of_type = EVENTS.iter().filter(|event| schema_of(event).event_type == event_type);
    of_type.map(|event| json!(event).to_string()).collect()
}

#[test]
fn every_field_of_a_current_schema_is_a_field_of_its_rust_type() {
    // The other way round - a field that the schema lacks - is refused by name when the event is encoded.
    for lineage in domain::aggregates::version_histories() {
        let schema = find_schema(lineage.event_type, lineage.current).unwrap();
        let unfilled = find_unfilled(schema.json, &generate_events(lineage.event_type));
        assert_eq!(unfilled, Vec::<String>::new(), "{} {} has more", schema.event_type, schema.version);
    }
}

#[test]
fn a_field_that_only_the_schema_has_is_named() {
    let schema = find_schema("opportunity.awarded", "1.0").unwrap();
    let planted = schema.json.replace("\"awardee\"", "\"winner\"");
    assert_eq!(find_unfilled(&planted, &generate_events("opportunity.awarded")), ["award.winner"]);
}

#[test]
fn a_field_that_only_the_rust_type_has_is_named() {
    let planted = find_schema("opportunity.awarded", "1.0").unwrap().json.replace("\"awardee\"", "\"winner\"");
    let shape = SchemaTree::parse(&planted).unwrap();
    let event = r#"{"type":"awarded","key":"k","award":{"awardee":"Ridgeway"}}"#;
    let misfit = encode_payload(&shape, event, &mut vec![]).unwrap_err();
    assert_eq!(misfit.to_string(), "award.awardee: is not in the schema");
}

#[test]
fn what_does_not_fit_is_named() {
    let good = serde_json::to_value(typical_event()).unwrap();
    let schema = schema_of(&typical_event());
    let with = |pointer: &str, value: Value| {
        let mut event = good.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string()
    };
    let mut without = good.clone();
    without["filing"].as_object_mut().unwrap().remove("digest");
    let mut more = good.clone();
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
        assert_eq!(into, b"before", "nothing is left behind");
    }
    for broken in ["", "{", "{\"type\":\"discovered\"", &format!("{good} x"), "{\"type\":\"disc\u{1}\"}"] {
        let misfit = schema.encode(broken, &mut vec![]).unwrap_err();
        assert!(misfit.reason.starts_with("cannot be read as JSON"), "{misfit}");
    }
    let twice = good.to_string().replacen("\"digest\"", "\"digest\":\"x\",\"digest\"", 1);
    let misfit = schema.encode(&twice, &mut vec![]).unwrap_err();
    assert_eq!(misfit.to_string(), "filing.digest: stands there twice");
}

#[test]
fn amounts_keep_their_limits() {
    let schema = find_schema("opportunity.awarded", "1.0").unwrap();
    let event = |amount: &str| format!(r#"{{"type":"awarded","key":"k","award":{{"amount":{amount}}}}}"#);
    for amount in ["9223372036854775807", "-9223372036854775808", "0"] {
        let mut avro = vec![];
        schema.encode(&event(amount), &mut avro).unwrap();
        assert_eq!(EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap(), event(amount));
    }
    for amount in ["9223372036854775808", "1.0", "1e3"] {
        let misfit = schema.encode(&event(amount), &mut vec![]).unwrap_err();
        assert_eq!(misfit.path, "award.amount", "{amount}");
    }
}

#[test]
fn digits_finer_than_a_microsecond_are_cut_in_the_copy() {
    let schema = find_schema("opportunity.deadline_changed", "1.1").unwrap();
    let event = |time: &str| format!(r#"{{"type":"deadline_changed","notice_id":"n","from":null,"to":"{time}"}}"#);
    let mut avro = vec![];
    schema.encode(&event("2026-03-03T12:17:50.123456789+01:00"), &mut avro).unwrap();
    let back = EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap();
    assert_eq!(back, event("2026-03-03T11:17:50.123456Z"));
}

#[test]
fn what_may_be_null_may_be_absent() {
    let schema = find_schema("opportunity.deadline_changed", "1.1").unwrap();
    let (mut sparse, mut whole) = (vec![], vec![]);
    schema.encode(r#"{"type":"deadline_changed","notice_id":"n"}"#, &mut sparse).unwrap();
    let nulls = r#"{"type":"deadline_changed","notice_id":"n","from":null,"to":null,"posted_at":null}"#;
    schema.encode(nulls, &mut whole).unwrap();
    assert_eq!(sparse, whole);
    // Null is written where the schema has no default, left out where it has one.
    let back = EventDecoder::parse(schema.json).unwrap().decode_to_json(&whole).unwrap();
    assert_eq!(back, r#"{"type":"deadline_changed","notice_id":"n","from":null,"to":null}"#);
}

/// A schema with what our events do not use: lists, numbers with a fraction, defaults, a type that holds itself.
const TREE: &str = r#"{"type":"record","name":"Tree","fields":[
    {"name":"name","type":"string","default":"leaf"},
    {"name":"weight","type":"double","default":1.5},
    {"name":"small","type":["int","null"],"default":7},
    {"name":"branches","type":{"type":"array","items":"Tree"},"default":[]}
]}"#;

#[test]
fn lists_numbers_and_defaults_have_a_form_in_both() {
    let (shape, decoder) = (SchemaTree::parse(TREE).unwrap(), EventDecoder::parse(TREE).unwrap());
    let mut avro = vec![];
    encode_payload(&shape, r#"{"branches":[{"name":"a","weight":2},{"branches":[{"small":null}]}]}"#, &mut avro)
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
    let misfit = encode_payload(&shape, r#"{"branches":[{},{"small":3000000000}]}"#, &mut vec![]).unwrap_err();
    assert_eq!(misfit.path, "branches[1].small");
}

#[test]
fn bogus_lengths_and_endless_nesting_are_refused() {
    let decoder = EventDecoder::parse(TREE).unwrap();
    let reason = |avro: &[u8]| decoder.decode_to_json(avro).unwrap_err().reason;
    assert!(reason(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]).contains("ends too early"));
    assert!(reason(&[0x01]).contains("has the length -1"));
    assert!(reason(&[0xff; 12]).contains("more than 64 bits"));
    let deep: Vec<u8> = [0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2].repeat(1_000);
    assert!(reason(&deep).contains("nests too deep"));
    let many: Vec<u8> = [&[0, 0, 0, 0, 0, 0, 0, 0, 0, 2][..], &[0xfe, 0xff, 0xff, 0xff, 0x7f]].concat();
    assert!(reason(&many).contains("says it is longer"), "{}", reason(&many));
}

#[test]
fn a_schema_with_a_type_that_has_no_place_in_events_is_refused_by_name() {
    let record = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#);
    for (field, reason) in [
        ("\"bytes\"", "has no place in events"),
        ("[\"string\",\"int\"]", "only as null and one other type"),
        ("{\"type\":\"map\",\"values\":\"int\"}", "has no place in events"),
    ] {
        let misfit = EventDecoder::parse(&record(field)).unwrap_err();
        assert!(misfit.path == "f" && misfit.reason.contains(reason), "{misfit}");
    }
    assert_eq!(EventDecoder::parse("{}").unwrap_err().path, "schema");
}
