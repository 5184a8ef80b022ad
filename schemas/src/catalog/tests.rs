//! Tests that recorded schemas are never edited, and that every version of an event reads all earlier versions.
//!
//! `golden/` has each version's schema as it was recorded, beside examples of its events. `MEDHUB_RECORD=1 cargo test
//! --workspace --lib recorded` adds new versions; it never changes a recorded one.

mod event_types;
mod field_tracer;
mod golden_events;
mod minor_steps;

use std::{collections::BTreeSet, fmt::Write as _};

use apache_avro::Schema;
use cqrs_es::Aggregate;
use domain::{aggregates::with_aggregates, context::BoundedContext};
use serde::Serialize;
use serde_json::Value;

use super::*;
use crate::compatibility::find_incompatibilities;

/// The build script, for its rules of names.
#[path = "../../build.rs"]
#[expect(dead_code, reason = "only cargo runs the script")]
mod build_script;

/// The schema of one version of one event.
#[derive(Debug, Clone, PartialEq)]
struct RecordedSchema {
    event_type: String,
    version: String,
    /// The bounded context of the aggregate, after which its topic is named.
    context: String,
    schema: Value,
}

fn recorded_schemas() -> Vec<RecordedSchema> {
    let to_schema = |recorded: &golden_events::RecordedVersion| RecordedSchema {
        event_type: recorded.event_type.clone(),
        version: recorded.version.clone(),
        context: recorded.context.clone(),
        schema: recorded.schema.clone(),
    };
    golden_events::recorded_versions().iter().map(to_schema).collect()
}

fn current_schemas() -> Vec<RecordedSchema> {
    let to_recorded = |schema: &EventSchema| RecordedSchema {
        event_type: schema.event_type.to_owned(),
        version: schema.version.to_owned(),
        context: golden_events::context_of(schema.event_type).to_owned(),
        schema: serde_json::from_str(schema.json).unwrap(),
    };
    all_schemas().iter().map(to_recorded).collect()
}

/// Compares the current schemas with the recorded ones; returns a message for each problem.
fn find_problems(recorded: &[RecordedSchema], current: &[RecordedSchema]) -> Vec<String> {
    let mut found = Vec::new();
    for known in recorded {
        let same = |schema: &&RecordedSchema| schema.event_type == known.event_type && schema.version == known.version;
        match current.iter().find(same) {
            None => found.push(format!("{} {} was recorded and has been removed", known.event_type, known.version)),
            Some(schema) => find_edits(known, schema, &mut found),
        }
    }
    for schema in current {
        if !recorded.iter().any(|known| known.event_type == schema.event_type && known.version == schema.version) {
            found.push(format!(
                "{} {} is not recorded; when it is final, run: MEDHUB_RECORD=1 cargo test --workspace --lib recorded",
                schema.event_type, schema.version
            ));
        }
    }
    collect_incompatibilities(current, &mut found);
    found
}

/// Adds a message with the changes of a recorded schema, if there are any.
fn find_edits(known: &RecordedSchema, schema: &RecordedSchema, found: &mut Vec<String>) {
    if known.context != schema.context {
        found.push(format!(
            "{} {} was recorded in the context {}, after which its topic is named, and is now in {}",
            known.event_type, known.version, known.context, schema.context
        ));
    }
    if known.schema == schema.schema {
        return;
    }
    let mut message = format!("{} {} was edited after it was recorded", known.event_type, known.version);
    let (old, new) = (parse_schema(&known.schema), parse_schema(&schema.schema));
    for problem in find_incompatibilities(&new, &old).into_iter().chain(find_incompatibilities(&old, &new)) {
        let _ = write!(message, "; {problem}");
    }
    if let Some(path) = find_difference(&known.schema, &schema.schema, "") {
        let _ = write!(message, "; the first difference is at {path}");
    }
    found.push(message + "; revert the edit and add a new version instead");
}

/// The path of the first difference of two JSON values; array elements with a name appear under it.
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

/// Adds a message for each version that cannot read data of an earlier version of its event.
fn collect_incompatibilities(current: &[RecordedSchema], found: &mut Vec<String>) {
    for (at, new) in current.iter().enumerate() {
        for old in current[..at].iter().filter(|old| old.event_type == new.event_type) {
            for problem in find_incompatibilities(&parse_schema(&new.schema), &parse_schema(&old.schema)) {
                found.push(format!(
                    "{} {} cannot read data of version {}: {problem}",
                    new.event_type, new.version, old.version
                ));
            }
        }
    }
}

fn parse_schema(schema: &Value) -> Schema {
    Schema::parse_str(&schema.to_string()).unwrap()
}

#[test]
fn recorded_schemas_are_unchanged_and_compatible() {
    let current = current_schemas();
    if std::env::var_os("MEDHUB_RECORD").is_some() {
        let incompatibilities = &mut vec![];
        collect_incompatibilities(&current, incompatibilities);
        assert!(incompatibilities.is_empty(), "{incompatibilities:#?}");
        return golden_events::record_missing();
    }
    let problems = find_problems(&recorded_schemas(), &current);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn an_edited_schema_is_reported_with_its_field() {
    let problems_after = |edit: fn(&mut Value)| {
        let mut current = current_schemas();
        let schema = current.iter_mut().find(|schema| schema.event_type == "opportunity.awarded").unwrap();
        edit(&mut schema.schema);
        find_problems(&recorded_schemas(), &current).join("\n")
    };
    let edited = "opportunity.awarded 1.0 was edited after it was recorded";
    let typed = problems_after(|schema| schema["fields"][1]["type"] = "long".into());
    assert!(typed.starts_with(&format!("{edited}; key: changed from string to long")), "{typed}");
    let default = problems_after(|schema| {
        schema["fields"][2]["type"]["fields"][0].as_object_mut().unwrap().remove("default");
    });
    assert!(default.contains("the first difference is at fields.award.type.fields.number.default"), "{default}");
    let removed = problems_after(|schema| {
        schema["fields"].as_array_mut().unwrap().remove(1);
    });
    assert!(removed.contains("; key: is new and has no default"), "{removed}");
    let wording = problems_after(|schema| schema["doc"] = "Another text.".into());
    assert!(wording.contains("the first difference is at doc"), "{wording}");
}

#[test]
fn an_incompatible_new_version_is_reported_with_its_field() {
    let mut current = current_schemas();
    let mut next = current.iter().find(|schema| schema.event_type == "opportunity.awarded").unwrap().clone();
    next.version = "1.1".to_owned();
    let amount = &mut next.schema["fields"][2]["type"]["fields"][2];
    amount["type"] = "int".into();
    amount.as_object_mut().unwrap().remove("default");
    current.push(next);
    let problems = find_problems(&recorded_schemas(), &current).join("\n");
    assert!(
        problems.contains("opportunity.awarded 1.1 cannot read data of version 1.0: award.amount: changed from"),
        "{problems}"
    );
    assert!(problems.contains("opportunity.awarded 1.1 is not recorded"), "{problems}");
}

#[test]
fn another_context_is_reported() {
    let mut current = current_schemas();
    let schema = current.iter_mut().find(|schema| schema.event_type == "watchlist.search_removed").unwrap();
    schema.context = "system".to_owned();
    assert_eq!(
        find_problems(&recorded_schemas(), &current),
        [
            "watchlist.search_removed 1.0 was recorded in the context opportunities, after which its topic is named, and \
          is now in system"
        ]
    );
}

#[test]
fn a_removed_schema_is_reported() {
    let mut current = current_schemas();
    current.retain(|schema| schema.event_type != "opportunity.deadline_changed" || schema.version != "1.1");
    assert_eq!(
        find_problems(&recorded_schemas(), &current),
        ["opportunity.deadline_changed 1.1 was recorded and has been removed"]
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
fn file_names_say_event_and_version() {
    let parse =
        |folder, file| build_script::SchemaFileName::parse(folder, file).map(|name| (name.record(), name.version()));
    assert_eq!(parse("company", "company.api_key_issued-1.10.avsc"), Some(("ApiKeyIssued".into(), "1.10".into())));
    for file in [
        "api_key_issued-1.0.avsc",
        "inbox.api_key_issued-1.0.avsc",
        "company.ApiKeyIssued-1.0.avsc",
        "company.api__key-1.0.avsc",
        "company.-1.0.avsc",
        "company.closed.avsc",
        "company.closed-1.avsc",
        "company.closed-01.0.avsc",
        "company.closed-1.+1.avsc",
        "company.closed-1.0.json",
        "company.closed-1.0.avsc~",
    ] {
        assert_eq!(parse("company", file), None, "{file}");
    }
}

#[test]
fn the_catalog_has_exactly_the_versions_that_the_domain_knows() {
    let versions = version_histories().flat_map(|history| {
        let earlier = history.earlier.iter().map(|(version, _)| *version);
        earlier.chain([history.current]).map(|version| (history.event_type, version))
    });
    let schemas: Vec<_> = all_schemas().iter().map(|schema| (schema.event_type, schema.version)).collect();
    assert_eq!(versions.collect::<Vec<_>>(), schemas);
}

/// Adds the paths of types and fields without documentation.
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
fn every_type_and_field_has_documentation() {
    let mut found = Vec::new();
    for schema in current_schemas() {
        find_undocumented(&schema.schema, &schema.event_type, &mut found);
    }
    assert_eq!(found, Vec::<String>::new());
    find_undocumented(&serde_json::json!({ "type": "enum", "name": "E" }), "planted", &mut found);
    assert_eq!(found, ["planted (its type)"]);
}
