//! Golden events of new versions: examples from their schemas, which `MEDHUB_RECORD=1` adds to `golden/`.
//!
//! A text is the name of its field, an id is always the same. Whoever adds the event replaces them by what the event
//! is about, and by the right form where the field has one.

use std::{collections::BTreeMap, fs, path::Path};

use cqrs_es::Aggregate;
use domain::{aggregates::with_aggregates, upcast::decode_event_of};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::{EventSchema, all_schemas};
use crate::codec::EventDecoder;

/// Which fields an example has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ExampleSize {
    /// All of them.
    Full,
    /// Only those without which the event cannot be read.
    Sparse,
}

/// Builds an example of one schema.
struct ExampleBuilder<'a> {
    size: ExampleSize,
    /// The types that have been defined so far, by their names.
    named: BTreeMap<&'a str, &'a Value>,
}

impl<'a> ExampleBuilder<'a> {
    fn build(size: ExampleSize, schema: &'a Value) -> Value {
        Self { size, named: BTreeMap::new() }.build_value(schema, "payload")
    }

    fn build_value(&mut self, schema: &'a Value, field: &str) -> Value {
        match schema {
            Value::String(name) => self.build_named(name, field),
            Value::Array(branches) => {
                let branch = branches.iter().find(|branch| (*branch == "null") == (self.size == ExampleSize::Sparse));
                branch.or_else(|| branches.first()).map_or(Value::Null, |branch| self.build_value(branch, field))
            }
            Value::Object(_) => self.build_defined(schema, field),
            Value::Null | Value::Bool(_) | Value::Number(_) => Value::Null,
        }
    }

    fn build_named(&mut self, name: &str, field: &str) -> Value {
        match name {
            "null" => Value::Null,
            "boolean" => true.into(),
            "int" | "long" => 1.into(),
            "double" => json!(1.5),
            "string" if field == "id" || field.ends_with("_id") => "01890a5d-ac96-774b-bcce-b302099a8057".into(),
            "string" if field == "by" && self.size == ExampleSize::Full => "ann@acme.example".into(),
            "string" if field == "by" => "bob".into(),
            "string" => field.replace('_', " ").into(),
            other => {
                let defined = self.named.get(other.rsplit('.').next().unwrap_or(other)).copied();
                defined.map_or(Value::Null, |defined| self.build_value(defined, field))
            }
        }
    }

    fn build_defined(&mut self, schema: &'a Value, field: &str) -> Value {
        if let Some(name) = schema["name"].as_str() {
            self.named.insert(name, schema);
        }
        match (schema["type"].as_str(), schema["logicalType"].as_str()) {
            (_, Some("timestamp-micros")) if self.size == ExampleSize::Full => "2026-03-10T08:30:00.250Z".into(),
            (_, Some("timestamp-micros")) => "2026-03-10T08:30:00Z".into(),
            (_, Some("date")) => "2026-03-10".into(),
            (Some("enum"), _) => schema["symbols"][0].clone(),
            (Some("array"), _) if self.size == ExampleSize::Sparse => json!([]),
            (Some("array"), _) => json!([self.build_value(&schema["items"], field)]),
            (Some("record"), _) => self.build_record(schema),
            _ => self.build_value(&schema["type"], field),
        }
    }

    fn build_record(&mut self, schema: &'a Value) -> Value {
        let mut record = Map::new();
        for field in schema["fields"].as_array().into_iter().flatten() {
            let name = field["name"].as_str().unwrap_or_default();
            let value = self.build_value(&field["type"], name);
            // A field with a default is left out when it is null.
            if !(value.is_null() && field.get("default").is_some()) {
                record.insert(name.to_owned(), value);
            }
        }
        record.into()
    }
}

macro_rules! define_current_form {
    ($($context:ident { $($module:ident::$aggregate:ident,)+ })+) => {
        /// The payload of a recorded event in its newest version; as it is, where its values have the wrong form.
        fn current_form(schema: &EventSchema, stored: &Value) -> Value {
            let (event_type, version, text) = (schema.event_type, schema.version, stored.to_string());
            let decoded = match aggregate_of(schema) {
                $($(<domain::$module::$aggregate as Aggregate>::TYPE => {
                    let event = decode_event_of::<domain::$module::$aggregate>(event_type, version, &text);
                    event.ok().map(|event| serde_json::to_value(event).unwrap())
                })+)+
                _ => None,
            };
            decoded.unwrap_or_else(|| stored.clone())
        }
    };
}

with_aggregates!(define_current_form);

/// The golden events of a version.
#[derive(Serialize)]
struct GoldenEvents {
    event_type: &'static str,
    version: &'static str,
    full: GoldenPayload,
    sparse: GoldenPayload,
}

/// A payload as it was recorded, and the same in the newest version.
#[derive(Serialize)]
struct GoldenPayload {
    stored: Value,
    current: Value,
}

/// The aggregate type, with which an event type begins.
fn aggregate_of(schema: &EventSchema) -> &'static str {
    schema.event_type.split('.').next().unwrap_or_default()
}

fn build_example(schema: &EventSchema, size: ExampleSize) -> Value {
    ExampleBuilder::build(size, &serde_json::from_str(schema.json).unwrap())
}

/// The entry of a version, as the files of golden events have them.
fn build_entry(schema: &EventSchema) -> String {
    let build_payload = |size| {
        let stored = build_example(schema, size);
        GoldenPayload { current: current_form(schema, &stored), stored }
    };
    let entry = GoldenEvents {
        event_type: schema.event_type,
        version: schema.version,
        full: build_payload(ExampleSize::Full),
        sparse: build_payload(ExampleSize::Sparse),
    };
    let text = serde_json::to_string_pretty(&entry).unwrap();
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// The entries of a file by event type and version. An entry begins and ends with a brace that is indented by two.
fn split_entries(text: &str) -> BTreeMap<(String, String), String> {
    let mut entries = BTreeMap::new();
    let mut lines: Vec<&str> = vec![];
    for line in text.lines().filter(|line| !matches!(*line, "[" | "]" | "[]")) {
        lines.push(line.strip_suffix(',').filter(|line| *line == "  }").unwrap_or(line));
        if lines.last() == Some(&"  }") {
            let entry = std::mem::take(&mut lines).join("\n");
            let parsed: Value = serde_json::from_str(&entry).unwrap();
            let text_of = |name: &str| parsed[name].as_str().unwrap().to_owned();
            entries.insert((text_of("event_type"), text_of("version")), entry);
        }
    }
    entries
}

/// The text of a file of golden events, with entries for the versions that have none.
fn complete_file(text: &str, schemas: &[&EventSchema]) -> String {
    let known = split_entries(text);
    let entries = schemas.iter().map(|schema| {
        let key = (schema.event_type.to_owned(), schema.version.to_owned());
        known.get(&key).cloned().unwrap_or_else(|| build_entry(schema))
    });
    format!("[\n{}\n]\n", entries.collect::<Vec<_>>().join(",\n"))
}

/// Adds examples of the versions that have no golden events to the files of `golden/`.
pub(super) fn record_missing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    for (path, schemas) in files_of(&folder) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if schemas.len() > split_entries(&text).len() {
            fs::write(&path, complete_file(&text, &schemas)).unwrap();
        }
    }
}

/// The files of golden events, with the schemas whose events they have.
fn files_of(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<&'static EventSchema>> {
    let mut files = BTreeMap::<_, Vec<_>>::new();
    for schema in all_schemas() {
        files.entry(folder.join(format!("{}.json", aggregate_of(schema)))).or_default().push(schema);
    }
    files
}

#[test]
fn examples_of_every_schema_can_be_encoded_and_are_the_same_afterwards() {
    for schema in all_schemas() {
        for size in [ExampleSize::Full, ExampleSize::Sparse] {
            let (example, mut avro) = (build_example(schema, size), vec![]);
            let encoded = schema.encode(&example.to_string(), &mut avro);
            encoded.unwrap_or_else(|mismatch| panic!("{} {}: {mismatch}", schema.event_type, schema.version));
            let decoded = EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&decoded).unwrap(), example, "{}", schema.event_type);
        }
    }
}

#[test]
fn known_entries_stay_and_missing_ones_get_examples_in_the_order_of_the_catalogue() {
    let schemas: Vec<_> = all_schemas().iter().filter(|schema| aggregate_of(schema) == "resource").collect();
    let text = include_str!("../../../golden/resource.json");
    assert_eq!(complete_file(text, &schemas), text);

    let first = complete_file("", &schemas[..1]);
    let edited = first.replace("\"by\": \"bob\"", "\"by\": \"carl\"");
    let completed = complete_file(&edited, &schemas);
    assert!(completed.starts_with(edited.trim_end_matches("\n]\n")), "{completed}");
    let entries: Vec<Value> = serde_json::from_str(&completed).unwrap();
    let types: Vec<_> = entries.iter().map(|entry| entry["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["resource.created", "resource.updated", "resource.deleted"]);
    assert_eq!(entries[2]["full"]["current"], entries[2]["full"]["stored"]);
}
