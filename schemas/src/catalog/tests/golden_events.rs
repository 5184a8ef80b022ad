//! The files of `golden/`: recorded versions, each with its schema and with examples of its events. `MEDHUB_RECORD=1`
//! adds new versions, with examples from their schemas.
//!
//! A text is the name of its field, an id is always the same. Whoever adds the event replaces them by what the event
//! is about, and by the right form where the field has one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use domain::upcast::decode_event_of;
use serde::Deserialize;
use serde_json::{Map, json};

use super::*;
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
            let decoded = match aggregate_of(schema.event_type) {
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

/// A version that was recorded.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedVersion {
    pub(super) event_type: String,
    pub(super) version: String,
    /// The bounded context of the aggregate.
    pub(super) context: String,
    /// Its schema as it was recorded.
    pub(super) schema: Value,
    /// An event that has every field.
    pub(super) full: GoldenPayload,
    /// An event that has only the fields without which it cannot be read.
    #[serde(rename = "sparse")]
    _sparse: GoldenPayload,
}

/// A payload as it was recorded, and the same in the newest version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoldenPayload {
    stored: Value,
    pub(super) current: Value,
}

/// All recorded versions.
pub(super) fn recorded_versions() -> &'static [RecordedVersion] {
    static RECORDED: LazyLock<Vec<RecordedVersion>> = LazyLock::new(|| {
        let files = fs::read_dir(golden_folder()).unwrap();
        let parse = |path: PathBuf| -> Vec<RecordedVersion> {
            let parsed = serde_json::from_str(&fs::read_to_string(&path).unwrap());
            parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        files.flat_map(|file| parse(file.unwrap().path())).collect()
    });
    &RECORDED
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The aggregate type, with which an event type begins.
pub(super) fn aggregate_of(event_type: &str) -> &str {
    event_type.split('.').next().unwrap_or_default()
}

/// The bounded context of the aggregate with such events.
pub(super) fn context_of(event_type: &str) -> &'static str {
    BoundedContext::from_aggregate_type(aggregate_of(event_type)).map_or("none", BoundedContext::name)
}

fn build_example(schema: &EventSchema, size: ExampleSize) -> Value {
    ExampleBuilder::build(size, &serde_json::from_str(schema.json).unwrap())
}

/// The entry of a version, as the files of golden events have them: the schema is a single line, as nobody edits it.
fn build_entry(schema: &EventSchema) -> String {
    let build_payload = |size| {
        let stored = build_example(schema, size);
        GoldenPayload { current: current_form(schema, &stored), stored }
    };
    let parsed: Value = serde_json::from_str(schema.json).unwrap();
    let entry = [
        format!("\"event_type\": \"{}\"", schema.event_type),
        format!("\"version\": \"{}\"", schema.version),
        format!("\"context\": \"{}\"", context_of(schema.event_type)),
        format!("\"schema\": {parsed}"),
        format!("\"full\": {}", to_indented_json(&build_payload(ExampleSize::Full))),
        format!("\"sparse\": {}", to_indented_json(&build_payload(ExampleSize::Sparse))),
    ];
    format!("  {{\n    {}\n  }}", entry.join(",\n    "))
}

/// The JSON of a value in a field that is indented by four.
fn to_indented_json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap().replace('\n', "\n    ")
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

/// The event type and the version of a schema.
fn version_key(schema: &EventSchema) -> (String, String) {
    (schema.event_type.to_owned(), schema.version.to_owned())
}

/// The text of a file of golden events, with entries for the versions that have none. Entries without a schema stay, at
/// the end, so that a removed schema is still reported.
fn complete_file(text: &str, schemas: &[&EventSchema]) -> String {
    let mut known = split_entries(text);
    let entries =
        schemas.iter().map(|schema| known.remove(&version_key(schema)).unwrap_or_else(|| build_entry(schema)));
    let mut entries: Vec<_> = entries.collect();
    entries.extend(known.into_values());
    format!("[\n{}\n]\n", entries.join(",\n"))
}

/// Adds examples of the versions that have no golden events to the files of `golden/`.
pub(super) fn record_missing() {
    for (path, schemas) in files_of(&golden_folder()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let known = split_entries(&text);
        if schemas.iter().any(|schema| !known.contains_key(&version_key(schema))) {
            fs::write(&path, complete_file(&text, &schemas)).unwrap();
        }
    }
}

/// The files of golden events, with the schemas whose events they have.
fn files_of(folder: &Path) -> BTreeMap<PathBuf, Vec<&'static EventSchema>> {
    let mut files = BTreeMap::<_, Vec<_>>::new();
    for schema in all_schemas() {
        files.entry(folder.join(format!("{}.json", aggregate_of(schema.event_type)))).or_default().push(schema);
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
    let schemas: Vec<_> = all_schemas().iter().filter(|schema| aggregate_of(schema.event_type) == "resource").collect();
    let text = include_str!("../../../golden/resource.json");
    assert_eq!(complete_file(text, &schemas), text);
    let without_first = complete_file(text, &schemas[1..]);
    assert_eq!(split_entries(&without_first), split_entries(text));

    let first = complete_file("", &schemas[..1]);
    let edited = first.replace("\"by\": \"bob\"", "\"by\": \"carl\"");
    let completed = complete_file(&edited, &schemas);
    assert!(completed.starts_with(edited.trim_end_matches("\n]\n")), "{completed}");
    let entries: Vec<Value> = serde_json::from_str(&completed).unwrap();
    let types: Vec<_> = entries.iter().map(|entry| entry["event_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["resource.created", "resource.updated", "resource.deleted"]);
    assert_eq!(entries[2]["full"]["current"], entries[2]["full"]["stored"]);
    assert_eq!(entries[2]["schema"], serde_json::from_str::<Value>(schemas[2].json).unwrap());
}
