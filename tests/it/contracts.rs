//! Events of every recorded version stay readable: by the schema they were recorded with, the upcasters, and every read
//! model.

mod real_records;

use std::{collections::BTreeSet, fs, path::PathBuf};

use cqrs_es::Aggregate;
use domain::{
    company::Company,
    document::Document,
    envelope::{EventMetadata, RawEnvelope},
    inbox::Inbox,
    opportunity::{Opportunity, OpportunityEvent},
    proposal::Proposal,
    resource::Resource,
    task::Task,
    value::PUBLIC_TENANT,
    visit::Visit,
    watchlist::Watchlist,
};
use projections::{
    opportunity_analytics::OpportunityAnalytics,
    opportunity_search::OpportunitySearch,
    opportunity_views::{OpportunityViews, ViewChange, ViewEvent},
    runtime::Projection,
};
use schemas::{
    catalog::{EventSchema, all_schemas},
    codec::EventDecoder,
};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// The golden events of one version: one with every field, one with as few as possible.
#[derive(Deserialize)]
struct GoldenEvents {
    full: GoldenPayload,
    sparse: GoldenPayload,
}

/// A payload as it was recorded, and the same in the current shape.
#[derive(Deserialize)]
struct GoldenPayload {
    stored: Value,
    current: Value,
}

fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden")
}

fn golden_file_name(schema: &EventSchema) -> String {
    format!("{}-{}.json", schema.event_type, schema.version)
}

fn read_golden_events(schema: &EventSchema) -> GoldenEvents {
    let path = golden_folder().join(golden_file_name(schema));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{} {} has no golden event at {}: {error}", schema.event_type, schema.version, path.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// The aggregate kind, which an event type begins with.
fn aggregate_kind(schema: &EventSchema) -> &'static str {
    schema.event_type.split_once('.').unwrap().0
}

fn create_envelope(schema: &EventSchema, payload: String) -> RawEnvelope {
    RawEnvelope {
        position: 7,
        event_id: Uuid::from_u128(7),
        tenant_id: PUBLIC_TENANT.to_owned(),
        aggregate_type: aggregate_kind(schema).to_owned(),
        aggregate_id: "036:36C10G26R0005".to_owned(),
        sequence: 1,
        event_type: schema.event_type.to_owned(),
        event_version: schema.version.to_owned(),
        recorded_at: "2026-03-04T00:00:00Z".parse().unwrap(),
        metadata: EventMetadata::default(),
        payload,
    }
}

#[test]
fn every_version_has_its_golden_events_and_there_are_no_other_files() {
    let schemas: BTreeSet<_> = all_schemas().iter().map(golden_file_name).collect();
    let files: BTreeSet<_> =
        fs::read_dir(golden_folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, schemas);
}

#[test]
fn golden_events_are_readable_by_schemas_upcasters_and_every_projection() {
    for schema in all_schemas() {
        let GoldenEvents { full, sparse } = read_golden_events(schema);
        for case in [full, sparse] {
            let mut avro = vec![];
            schema.encode(&case.stored.to_string(), &mut avro).unwrap_or_else(|misfit| {
                panic!("{} {}: {misfit}", schema.event_type, schema.version);
            });
            let json = EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), case.stored, "{}", golden_file_name(schema));

            let event = create_envelope(schema, json);
            match aggregate_kind(schema) {
                Opportunity::TYPE => {
                    let payload = decode_current::<Opportunity>(&event, case.current);
                    let event_of_view = ViewEvent::Opportunity(payload);
                    let view = ViewChange { id: event.aggregate_id.clone(), sequence: 1, event: event_of_view };
                    assert_eq!(OpportunityViews::project(&event).unwrap(), [view]);
                    OpportunitySearch::project(&event).unwrap();
                }
                Watchlist::TYPE => {
                    decode_current::<Watchlist>(&event, case.current);
                    assert_no_opportunity_changes(&event);
                }
                Visit::TYPE => {
                    decode_current::<Visit>(&event, case.current);
                    assert_no_opportunity_changes(&event);
                }
                Company::TYPE => assert_not_projected(&event, &decode_current::<Company>(&event, case.current)),
                Inbox::TYPE => assert_not_projected(&event, &decode_current::<Inbox>(&event, case.current)),
                Document::TYPE => assert_not_projected(&event, &decode_current::<Document>(&event, case.current)),
                Proposal::TYPE => assert_not_projected(&event, &decode_current::<Proposal>(&event, case.current)),
                Resource::TYPE => assert_not_projected(&event, &decode_current::<Resource>(&event, case.current)),
                Task::TYPE => assert_not_projected(&event, &decode_current::<Task>(&event, case.current)),
                unknown => panic!("add the aggregate {unknown} here"),
            }
            assert!(!OpportunityAnalytics::project(&event).unwrap().is_empty(), "analytics takes every event");
        }
    }
}

/// Decodes an event for its aggregate, and checks that it has the current shape.
fn decode_current<A: Aggregate>(event: &RawEnvelope, current: Value) -> A::Event
where
    A::Event: PartialEq + std::fmt::Debug,
{
    assert_eq!(event.aggregate_type, A::TYPE);
    let payload = event.decode::<A::Event>().unwrap();
    assert_eq!(serde_json::to_value(&payload).unwrap(), current, "{} {}", event.event_type, event.event_version);
    assert_eq!(serde_json::from_value::<A::Event>(current).unwrap(), payload);
    payload
}

/// Checks that no projection of opportunities uses the event yet.
fn assert_not_projected<E>(event: &RawEnvelope, _decoded: &E) {
    assert_eq!(OpportunityViews::project(event).unwrap(), []);
    OpportunitySearch::project(event).unwrap();
}

/// Checks that projections of opportunities do not apply the event as one of an opportunity, even if it is on their
/// topic.
fn assert_no_opportunity_changes(event: &RawEnvelope) {
    let views = OpportunityViews::project(event).unwrap();
    assert!(views.iter().all(|change| !matches!(change.event, ViewEvent::Opportunity(_))), "{views:?}");
    assert_eq!(views.len(), 1, "views count every visit and every saved opportunity");
    assert_eq!(OpportunitySearch::project(event).unwrap(), []);
}

/// Collects the fields of a schema that are null in a payload.
fn collect_null_fields(schema: &Value, payload: &Value, path: &str, found: &mut Vec<String>) {
    match schema {
        Value::Array(branches) => {
            branches
                .iter()
                .filter(|branch| **branch != "null")
                .for_each(|branch| collect_null_fields(branch, payload, path, found));
        }
        Value::Object(_) if schema["fields"].is_array() => {
            for field in schema["fields"].as_array().into_iter().flatten() {
                let name = field["name"].as_str().unwrap();
                collect_null_fields(&field["type"], &payload[name], &format!("{path}.{name}"), found);
            }
        }
        Value::Object(_) if schema["type"] == "array" && payload.is_array() => {
            for (index, item) in payload.as_array().into_iter().flatten().enumerate() {
                collect_null_fields(&schema["items"], item, &format!("{path}[{index}]"), found);
            }
        }
        Value::Object(_) if schema["type"].is_object() => collect_null_fields(&schema["type"], payload, path, found),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            if payload.is_null() {
                found.push(path.to_owned());
            }
        }
    }
}

#[test]
fn full_golden_events_have_every_field_and_sparse_ones_no_optional_field() {
    for schema in all_schemas() {
        let (parsed, golden) = (serde_json::from_str(schema.json).unwrap(), read_golden_events(schema));
        let (mut full, mut sparse) = (vec![], vec![]);
        collect_null_fields(&parsed, &golden.full.stored, schema.event_type, &mut full);
        collect_null_fields(&parsed, &golden.sparse.stored, schema.event_type, &mut sparse);
        assert_eq!(full, Vec::<String>::new(), "{}", golden_file_name(schema));
        let optional = schema.json.matches("\"default\": null").count();
        assert!(sparse.len() >= optional.min(1), "{}: {sparse:?}", golden_file_name(schema));
    }
}

#[test]
fn an_event_of_an_unknown_version_is_named_with_its_position() {
    let schema = &all_schemas()[0];
    let unknown = RawEnvelope { event_version: "7.0".to_owned(), ..create_envelope(schema, "{}".to_owned()) };
    let error = unknown.decode::<OpportunityEvent>().unwrap_err();
    assert!(error.to_string().contains("opportunity.discovered 7.0 at position 7"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "unknown version 7.0 of opportunity.discovered; the newest version that this release knows is 1.0"
    );
}
