//! Tests that a newer minor version adds fields only, each with a default: a release that does not know it yet folds it
//! as the version that it knows. BACKWARD compatibility alone also allows to remove or rename a field, to widen a type
//! and to add words to an enum.

use serde_json::json;

use super::*;

/// Whether `new` is the next version of the same event with the same major number.
fn is_minor_step(old: &RecordedSchema, new: &RecordedSchema) -> bool {
    let major = |schema: &RecordedSchema| schema.version.split_once('.').map(|(major, _)| major.to_owned());
    old.event_type == new.event_type && major(old) == major(new)
}

/// Adds the paths of what `new` does not keep of `old`, and of added fields without a default; descriptions may change.
fn find_other_changes(old: &Value, new: &Value, path: &str, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(olds), Value::Object(news)) => {
            let keys: BTreeSet<&str> = olds.keys().chain(news.keys()).map(String::as_str).collect();
            for key in keys.into_iter().filter(|key| *key != "doc") {
                match (key, olds.get(key), news.get(key)) {
                    ("fields", Some(Value::Array(olds)), Some(Value::Array(news))) => {
                        find_changed_fields(olds, news, path, found);
                    }
                    (_, Some(old), Some(new)) => find_other_changes(old, new, path, found),
                    _ => found.push(path.to_owned()),
                }
            }
        }
        (Value::Array(olds), Value::Array(news)) if olds.len() == news.len() => {
            for (old, new) in olds.iter().zip(news) {
                find_other_changes(old, new, path, found);
            }
        }
        (old, new) if old != new => found.push(path.to_owned()),
        _ => {}
    }
}

fn find_changed_fields(olds: &[Value], news: &[Value], path: &str, found: &mut Vec<String>) {
    let field_path = |field: &Value| format!("{path}.{}", field["name"].as_str().unwrap());
    for old in olds {
        match news.iter().find(|new| new["name"] == old["name"]) {
            Some(new) => find_other_changes(old, new, &field_path(old), found),
            None => found.push(field_path(old)),
        }
    }
    for new in news {
        let is_added = olds.iter().all(|old| old["name"] != new["name"]);
        if is_added && new.get("default").is_none() {
            found.push(field_path(new));
        }
    }
}

#[test]
fn a_newer_minor_version_adds_fields_with_defaults_only() {
    let mut found = vec![];
    for step in current_schemas().windows(2) {
        if is_minor_step(&step[0], &step[1]) {
            let path = format!("{}-{}", step[1].event_type, step[1].version);
            find_other_changes(&step[0].schema, &step[1].schema, &path, &mut found);
        }
    }
    // Two kinds of requirements, from before this rule: a release that knows only 1.0 cannot fold an event with one.
    assert_eq!(found, ["document.requirements_extracted-1.1.requirements.kind"]);
}

#[test]
fn other_changes_are_reported_with_their_field() {
    let event =
        |fields: &Value| json!({ "type": "record", "name": "Closed", "doc": "It was closed.", "fields": fields });
    let inner = |fields: &Value| json!({ "type": { "type": "array", "items": event(fields) }, "name": "inner" });
    let text = |name: &str| json!({ "name": name, "type": ["null", "string"], "default": null, "doc": "A text." });
    let old = event(&json!([text("by"), inner(&json!([text("at")]))]));
    let find = |new: &Value| {
        let mut found = vec![];
        find_other_changes(&old, &event(new), "closed", &mut found);
        found
    };
    let kept = inner(&json!([text("at")]));
    assert!(find(&json!([text("by"), kept])).is_empty());
    assert!(find(&json!([text("why"), text("by"), inner(&json!([text("at"), text("zone")]))])).is_empty());
    assert_eq!(find(&json!([kept])), ["closed.by"]);
    assert_eq!(find(&json!([text("by"), inner(&json!([text("since")]))])), ["closed.inner.at"]);
    assert_eq!(find(&json!([text("by"), kept, { "name": "why", "type": "string" }])), ["closed.why"]);
    let retyped = json!({ "name": "by", "type": ["null", "bytes"], "default": null });
    assert_eq!(find(&json!([retyped, kept])), ["closed.by"]);
}
