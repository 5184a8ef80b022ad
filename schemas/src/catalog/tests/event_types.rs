//! Tests that the schema of an event's current version describes exactly its Rust type: the same fields, integers that
//! fit, the same closed vocabularies. They read the golden events that have every field.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use super::{
    field_tracer::{FieldKind, FieldKinds, join_path, trace_fields},
    golden_events::{RecordedVersion, aggregate_of, recorded_versions},
    *,
};

/// A field of a schema that is not a record.
struct SchemaField<'a> {
    /// Its type, without null.
    schema: &'a Value,
    /// Where an example has it, as a JSON pointer; the first item of a list.
    pointer: String,
}

/// Collects the fields of a schema by their paths, as [`FieldKinds`] has them.
fn collect_fields<'a>(schema: &'a Value, path: &str, pointer: &str, into: &mut BTreeMap<String, SchemaField<'a>>) {
    if let Some(branches) = schema.as_array() {
        let branches = branches.iter().filter(|branch| **branch != "null");
        return branches.for_each(|branch| collect_fields(branch, path, pointer, into));
    }
    if let Some(fields) = schema["fields"].as_array() {
        for field in fields {
            let name = field["name"].as_str().unwrap();
            collect_fields(&field["type"], &join_path(path, name), &format!("{pointer}/{name}"), into);
        }
        return;
    }
    into.insert(path.to_owned(), SchemaField { schema, pointer: pointer.to_owned() });
    if schema["type"] == "array" {
        collect_fields(&schema["items"], &format!("{path}[]"), &format!("{pointer}/0"), into);
    }
}

/// Whether a schema accepts every value of a field.
fn accepts(schema: &Value, kind: FieldKind) -> bool {
    let name = schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or_default();
    let logical = schema["logicalType"].as_str();
    match kind {
        FieldKind::Absent => false,
        FieldKind::Text => match (name, logical) {
            ("long", logical) => logical == Some("timestamp-micros"),
            ("int", logical) => logical == Some("date"),
            // The name of the event.
            ("enum", _) => schema["symbols"].as_array().is_some_and(|symbols| symbols.len() == 1),
            (name, _) => name == "string",
        },
        FieldKind::Variant => ["string", "enum"].contains(&name),
        FieldKind::Boolean => name == "boolean",
        FieldKind::Integer { min, max } => match (name, logical) {
            ("int", None) => min >= i32::MIN.into() && max <= i32::MAX.into(),
            // Larger counts are not recorded.
            ("long", None) => min >= i64::MIN.into() && max <= u64::MAX.into(),
            _ => false,
        },
        FieldKind::Fraction => name == "double",
        FieldKind::List => name == "array",
    }
}

/// The words that a closed vocabulary accepts, from the error for another one.
fn accepted_words(
    payload: &Value,
    pointer: &str,
    trace: impl Fn(Value) -> serde_json::Result<FieldKinds>,
) -> BTreeSet<String> {
    let mut wrong = payload.clone();
    *wrong.pointer_mut(pointer).unwrap() = "no such word".into();
    let message = trace(wrong).err().map(|error| error.to_string()).unwrap_or_default();
    let words = message.split_once("expected").map_or("", |(_, words)| words);
    words.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The differences of a schema and a Rust type; `payload` has every field, and `trace` reads it as that type.
fn find_differences(
    schema: &Value,
    payload: &Value,
    trace: impl Fn(Value) -> serde_json::Result<FieldKinds>,
) -> Vec<String> {
    let traced = match trace(payload.clone()) {
        Ok(traced) => traced,
        Err(error) => return vec![format!("the golden event cannot be read: {error}")],
    };
    let mut fields = BTreeMap::new();
    collect_fields(schema, "", "", &mut fields);
    let mut differences = vec![];
    for path in traced.keys().filter(|path| !fields.contains_key(*path)) {
        differences.push(format!("{path}: is not in the schema"));
    }
    for (path, field) in &fields {
        let (pointer, kind) = (&field.pointer, traced.get(path).copied());
        match kind {
            None | Some(FieldKind::Absent) => differences.push(format!("{path}: the golden event has no value")),
            Some(kind) if !accepts(field.schema, kind) => {
                differences.push(format!("{path}: {kind:?} does not fit {}", field.schema));
            }
            Some(FieldKind::Variant) if field.schema["type"] == "enum" => {
                let symbols = field.schema["symbols"].as_array().into_iter().flatten();
                let symbols: BTreeSet<_> = symbols.map(|symbol| symbol.as_str().unwrap().to_owned()).collect();
                let words = accepted_words(payload, pointer, &trace);
                if symbols != words {
                    differences.push(format!("{path}: the type has {words:?}, the schema {symbols:?}"));
                }
            }
            Some(_) => {}
        }
    }
    differences
}

fn trace_as<E: Serialize + DeserializeOwned>(payload: Value) -> serde_json::Result<FieldKinds> {
    trace_fields(&serde_json::from_value::<E>(payload)?)
}

macro_rules! define_trace_event {
    ($($context:ident { $($module:ident::$aggregate:ident,)+ })+) => {
        /// The fields of a payload of that aggregate's events.
        fn trace_event(aggregate_type: &str, payload: Value) -> serde_json::Result<FieldKinds> {
            match aggregate_type {
                $($(<domain::$module::$aggregate as Aggregate>::TYPE => {
                    trace_as::<<domain::$module::$aggregate as Aggregate>::Event>(payload)
                })+)+
                unknown => panic!("{unknown} is no aggregate"),
            }
        }
    };
}

with_aggregates!(define_trace_event);

/// The golden event with every field, of an event's current version.
fn full_golden_event(event_type: &str, version: &str) -> Option<Value> {
    let is_version = |recorded: &&RecordedVersion| recorded.event_type == event_type && recorded.version == version;
    recorded_versions().iter().find(is_version).map(|recorded| recorded.full.current.clone())
}

#[test]
fn the_schemas_of_current_versions_describe_their_rust_types() {
    let mut differences = vec![];
    for history in version_histories() {
        let schema = find_schema(history.event_type, history.current).unwrap();
        // Another test reports a version without golden events.
        let Some(payload) = full_golden_event(history.event_type, history.current) else { continue };
        let parsed = serde_json::from_str(schema.json).unwrap();
        let found =
            find_differences(&parsed, &payload, |payload| trace_event(aggregate_of(history.event_type), payload));
        differences.extend(found.iter().map(|difference| format!("{}: {difference}", history.event_type)));
    }
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn differences_are_reported_with_their_fields() {
    let payload = full_golden_event("company.api_key_issued", "1.0").unwrap();
    let differences_after = |edit: fn(&str) -> String| {
        let schema = edit(find_schema("company.api_key_issued", "1.0").unwrap().json);
        let schema = serde_json::from_str(&schema).unwrap();
        find_differences(&schema, &payload, |payload| trace_event("company", payload)).join("; ")
    };
    assert_eq!(differences_after(str::to_owned), "");
    assert_eq!(
        differences_after(|schema| schema.replace("\"expires_at\"", "\"ends_at\"")),
        "key.expires_at: is not in the schema; key.ends_at: the golden event has no value"
    );
    let fewer_words = differences_after(|schema| schema.replace("\"ingest\"", "\"swallow\""));
    assert!(fewer_words.starts_with("key.scopes[]: the type has {\"ingest\", "), "{fewer_words}");
    let number = differences_after(|schema| schema.replace("\"timestamp-micros\"", "\"local-timestamp-micros\""));
    assert!(number.contains("key.expires_at: Text does not fit"), "{number}");
}

#[test]
fn integers_fit_into_their_avro_types() {
    let integer = |min: i128, max: i128| FieldKind::Integer { min, max };
    let (byte, word, long) = (integer(0, 255), integer(0, u32::MAX.into()), integer(0, u64::MAX.into()));
    let accepted = ["int", "long"].map(|name| [byte, word, long].map(|kind| accepts(&name.into(), kind)));
    assert_eq!(accepted, [[true, false, false], [true, true, true]]);
    let date = serde_json::json!({ "type": "int", "logicalType": "date" });
    assert!(accepts(&date, FieldKind::Text) && !accepts(&date, byte) && !accepts(&"int".into(), FieldKind::Text));
}
