//! The recorded schemas are never edited, and every version of an event reads all that earlier ones wrote.
//!
//! `avro/recorded.ndjson` is the memory of what was ever recorded. `MEDHUB_RECORD=1 cargo test --workspace --lib
//! recorded` adds the lines of new files to it; it never changes a line.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

use apache_avro::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::*;
use crate::compatibility::check_backward;

const RECORDED: &str = include_str!("../../avro/recorded.ndjson");

/// A line of the memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RecordedSchema {
    event_type: String,
    version: String,
    subject: String,
    schema: Value,
}

fn recorded_schemas() -> Vec<RecordedSchema> {
    RECORDED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn current_schemas() -> Vec<RecordedSchema> {
    let recorded = |schema: &EventSchema| RecordedSchema {
        event_type: schema.event_type.to_owned(),
        version: schema.version.to_owned(),
        subject: schema.subject.to_owned(),
        schema: serde_json::from_str(schema.json).unwrap(),
    };
    all_schemas().iter().map(recorded).collect()
}

/// What is wrong with the schemas at hand, given what was recorded; empty when all is well.
fn find_objections(memory: &[RecordedSchema], present: &[RecordedSchema]) -> Vec<String> {
    let mut found = Vec::new();
    for known in memory {
        let same = |schema: &&RecordedSchema| schema.event_type == known.event_type && schema.version == known.version;
        match present.iter().find(same) {
            None => found.push(format!("{} {} was recorded and is gone", known.event_type, known.version)),
            Some(schema) => find_edits(known, schema, &mut found),
        }
    }
    for schema in present {
        if !memory.iter().any(|known| known.event_type == schema.event_type && known.version == schema.version) {
            found.push(format!(
                "{} {} is not recorded yet; when it is final, run: MEDHUB_RECORD=1 cargo test --workspace --lib recorded",
                schema.event_type, schema.version
            ));
        }
    }
    find_incompatibilities(present, &mut found);
    found
}

/// Names what was changed in a schema that was recorded.
fn find_edits(known: &RecordedSchema, schema: &RecordedSchema, found: &mut Vec<String>) {
    if known == schema {
        return;
    }
    let mut message = format!("{} {} was edited after it was recorded", known.event_type, known.version);
    let (old, new) = (parse_schema(&known.schema), parse_schema(&schema.schema));
    for problem in check_backward(&new, &old).into_iter().chain(check_backward(&old, &new)) {
        let _ = write!(message, "; {problem}");
    }
    if let Some(path) = find_difference(&known.schema, &schema.schema, "") {
        let _ = write!(message, "; the first difference is at {path}");
    }
    found.push(message + "; take it back and add a new version instead");
}

/// Where two JSON values differ first; elements with a name are called by it.
fn find_difference(old: &Value, new: &Value, path: &str) -> Option<String> {
    let step = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (old, new) {
        (Value::Object(olds), Value::Object(news)) => {
            let names: BTreeSet<_> = olds.keys().chain(news.keys()).collect();
            names.into_iter().find_map(|name| match (olds.get(name), news.get(name)) {
                (Some(old), Some(new)) => find_difference(old, new, &step(name)),
                _ => Some(step(name)),
            })
        }
        (Value::Array(olds), Value::Array(news)) => {
            let pairs = olds.iter().zip(news).enumerate();
            let inner = pairs.into_iter().find_map(|(at, (old, new))| {
                let name = old["name"].as_str().map_or_else(|| at.to_string(), str::to_owned);
                find_difference(old, new, &step(&name))
            });
            inner.or_else(|| (olds.len() != news.len()).then(|| format!("the end of {path}")))
        }
        _ => (old != new).then(|| path.to_owned()),
    }
}

/// Every version has to read what every earlier version of its subject wrote.
fn find_incompatibilities(present: &[RecordedSchema], found: &mut Vec<String>) {
    for (at, new) in present.iter().enumerate() {
        for old in present[..at].iter().filter(|old| old.subject == new.subject) {
            for problem in check_backward(&parse_schema(&new.schema), &parse_schema(&old.schema)) {
                found.push(format!(
                    "{} {} cannot read what {} wrote: {problem}",
                    new.event_type, new.version, old.version
                ));
            }
        }
    }
}

fn parse_schema(schema: &Value) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap()
}

/// Appends what is not recorded yet, when asked to.
fn record_new(present: &[RecordedSchema]) {
    let memory = recorded_schemas();
    let known = |schema: &RecordedSchema| {
        memory.iter().any(|known| known.event_type == schema.event_type && known.version == schema.version)
    };
    let mut text = RECORDED.to_owned();
    for schema in present.iter().filter(|schema| !known(schema)) {
        let _ = writeln!(text, "{}", serde_json::to_string(schema).unwrap());
    }
    fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("avro/recorded.ndjson"), text).unwrap();
}

#[test]
fn recorded_schemas_are_as_they_were_recorded_and_read_each_other() {
    let present = current_schemas();
    if std::env::var_os("MEDHUB_RECORD").is_some() {
        let compatible = &mut vec![];
        find_incompatibilities(&present, compatible);
        assert!(compatible.is_empty(), "{compatible:#?}");
        return record_new(&present);
    }
    let objections = find_objections(&recorded_schemas(), &present);
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[test]
fn an_edited_schema_is_noticed_with_its_field() {
    let planted = |edit: fn(&mut Value)| {
        let mut present = current_schemas();
        let schema = present.iter_mut().find(|schema| schema.event_type == "opportunity.awarded").unwrap();
        edit(&mut schema.schema);
        find_objections(&recorded_schemas(), &present).join("\n")
    };
    let award = "opportunity.awarded 1.0 was edited after it was recorded";
    let typed = planted(|schema| schema["fields"][1]["type"] = "long".into());
    assert!(typed.starts_with(&format!("{award}; key: changed from string to long")), "{typed}");
    let default = planted(|schema| {
        schema["fields"][2]["type"]["fields"][0].as_object_mut().unwrap().remove("default");
    });
    assert!(default.contains("the first difference is at fields.award.type.fields.number.default"), "{default}");
    let removed = planted(|schema| {
        schema["fields"].as_array_mut().unwrap().remove(1);
    });
    assert!(removed.contains("; key: is new and has no default"), "{removed}");
    let wording = planted(|schema| schema["doc"] = "Somebody won.".into());
    assert!(wording.contains("the first difference is at doc"), "{wording}");
}

#[test]
fn a_breaking_new_version_is_noticed_with_its_field() {
    let mut present = current_schemas();
    let mut next = present.iter().find(|schema| schema.event_type == "opportunity.awarded").unwrap().clone();
    next.version = "1.1".to_owned();
    let amount = &mut next.schema["fields"][2]["type"]["fields"][2];
    amount["type"] = "int".into();
    amount.as_object_mut().unwrap().remove("default");
    present.push(next);
    let objections = find_objections(&recorded_schemas(), &present).join("\n");
    assert!(
        objections.contains("opportunity.awarded 1.1 cannot read what 1.0 wrote: award.amount: changed from"),
        "{objections}"
    );
    assert!(objections.contains("opportunity.awarded 1.1 is not recorded yet"), "{objections}");
}

#[test]
fn a_schema_that_is_gone_is_noticed() {
    let mut present = current_schemas();
    present.retain(|schema| schema.version != "1.1");
    assert_eq!(
        find_objections(&recorded_schemas(), &present),
        ["opportunity.deadline_changed 1.1 was recorded and is gone"]
    );
}

#[test]
fn subjects_are_the_full_names_of_their_records() {
    for schema in all_schemas() {
        let parsed = Schema::parse_str(schema.json).unwrap();
        assert_eq!(parsed.name().unwrap().fullname(None), schema.subject);
        assert!(find_schema(schema.event_type, schema.version).is_some_and(|found| std::ptr::eq(found, schema)));
    }
    assert!(
        find_schema("opportunity.discovered", "7.0").is_none() && find_schema("spaceship.launched", "1.0").is_none()
    );
}

#[test]
fn every_version_that_the_domain_knows_has_a_schema_and_the_other_way_round() {
    let versions = domain::aggregates::version_histories().flat_map(|lineage| {
        let earlier = lineage.earlier.iter().map(|(version, _)| *version);
        earlier.chain([lineage.current]).map(|version| (lineage.event_type, version))
    });
    let schemas: Vec<_> = all_schemas().iter().map(|schema| (schema.event_type, schema.version)).collect();
    assert_eq!(versions.collect::<Vec<_>>(), schemas);
}

/// The places in a schema that say nothing about themselves.
fn find_undocumented(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| find_undocumented(branch, path, found)),
        Value::Object(_) => {
            let named = matches!(schema["type"].as_str(), Some("record" | "enum" | "fixed"));
            if named && schema["doc"].as_str().is_none_or(str::is_empty) {
                found.push(format!("{path} (its type)"));
            }
            for field in schema["fields"].as_array().into_iter().flatten() {
                let path = format!("{path}.{}", field["name"].as_str().unwrap());
                if field["doc"].as_str().is_none_or(str::is_empty) {
                    found.push(path.clone());
                }
                find_undocumented(&field["type"], &path, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_field_says_what_it_is() {
    let mut found = Vec::new();
    for schema in current_schemas() {
        find_undocumented(&schema.schema, &schema.event_type, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
    find_undocumented(&serde_json::json!({ "type": "enum", "name": "E" }), "planted", &mut found);
    assert_eq!(found, ["planted (its type)"]);
}
