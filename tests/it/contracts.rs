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

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden")
}

fn file_of(schema: &EventSchema) -> String {
    format!("{}-{}.json", schema.event_type, schema.version)
}

fn golden(schema: &EventSchema) -> GoldenEvents {
    let path = folder().join(file_of(schema));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{} {} has no golden event at {}: {error}", schema.event_type, schema.version, path.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// The aggregate that an event's name begins with.
fn aggregate_of(schema: &EventSchema) -> &'static str {
    schema.event_type.split_once('.').unwrap().0
}

fn recorded(schema: &EventSchema, payload: String) -> RawEnvelope {
    RawEnvelope {
        position: 7,
        event_id: Uuid::from_u128(7),
        tenant_id: PUBLIC_TENANT.to_owned(),
        aggregate_type: aggregate_of(schema).to_owned(),
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
fn every_version_has_its_golden_events_and_no_other_file_is_there() {
    let schemas: BTreeSet<_> = all_schemas().iter().map(file_of).collect();
    let files: BTreeSet<_> =
        fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, schemas);
}

#[test]
fn golden_events_travel_through_schema_upcasters_and_every_read_model() {
    for schema in all_schemas() {
        let GoldenEvents { full, sparse } = golden(schema);
        for case in [full, sparse] {
            let mut avro = vec![];
            schema.encode(&case.stored.to_string(), &mut avro).unwrap_or_else(|misfit| {
                panic!("{} {}: {misfit}", schema.event_type, schema.version);
            });
            let json = EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), case.stored, "{}", file_of(schema));

            let event = recorded(schema, json);
            match aggregate_of(schema) {
                Opportunity::TYPE => {
                    let payload = understood::<Opportunity>(&event, case.current);
                    let event_of_view = ViewEvent::Opportunity(payload);
                    let view = ViewChange { id: event.aggregate_id.clone(), sequence: 1, event: event_of_view };
                    assert_eq!(OpportunityViews::project(&event).unwrap(), [view]);
                    OpportunitySearch::project(&event).unwrap();
                }
                Watchlist::TYPE => {
                    understood::<Watchlist>(&event, case.current);
                    concerns_no_opportunity(&event);
                }
                Visit::TYPE => {
                    understood::<Visit>(&event, case.current);
                    concerns_no_opportunity(&event);
                }
                Company::TYPE => leave_it_alone(&event, &understood::<Company>(&event, case.current)),
                Inbox::TYPE => leave_it_alone(&event, &understood::<Inbox>(&event, case.current)),
                Document::TYPE => leave_it_alone(&event, &understood::<Document>(&event, case.current)),
                Proposal::TYPE => leave_it_alone(&event, &understood::<Proposal>(&event, case.current)),
                Resource::TYPE => leave_it_alone(&event, &understood::<Resource>(&event, case.current)),
                Task::TYPE => leave_it_alone(&event, &understood::<Task>(&event, case.current)),
                unknown => panic!("add the aggregate {unknown} here"),
            }
            assert!(!OpportunityAnalytics::project(&event).unwrap().is_empty(), "every event is a fact");
        }
    }
}

/// The event as its aggregate understands it, which is in the current shape.
fn understood<A: Aggregate>(event: &RawEnvelope, current: Value) -> A::Event
where
    A::Event: PartialEq + std::fmt::Debug,
{
    assert_eq!(event.aggregate_type, A::TYPE);
    let payload = event.decode::<A::Event>().unwrap();
    assert_eq!(serde_json::to_value(&payload).unwrap(), current, "{} {}", event.event_type, event.event_version);
    assert_eq!(serde_json::from_value::<A::Event>(current).unwrap(), payload);
    payload
}

/// No read model but that of all facts knows these events yet.
fn leave_it_alone<E>(event: &RawEnvelope, _understood: &E) {
    assert_eq!(OpportunityViews::project(event).unwrap(), []);
    OpportunitySearch::project(event).unwrap();
}

/// Read models of opportunities leave the event alone, also where it comes on their topic.
fn concerns_no_opportunity(event: &RawEnvelope) {
    let views = OpportunityViews::project(event).unwrap();
    assert!(views.iter().all(|change| !matches!(change.event, ViewEvent::Opportunity(_))), "{views:?}");
    assert_eq!(views.len(), 1, "views count every visit and every wish");
    assert_eq!(OpportunitySearch::project(event).unwrap(), []);
}

/// The fields of a schema that a payload leaves open.
fn open(schema: &Value, payload: &Value, path: &str, found: &mut Vec<String>) {
    match schema {
        Value::Array(branches) => {
            branches.iter().filter(|branch| **branch != "null").for_each(|branch| open(branch, payload, path, found));
        }
        Value::Object(_) if schema["fields"].is_array() => {
            for field in schema["fields"].as_array().into_iter().flatten() {
                let name = field["name"].as_str().unwrap();
                open(&field["type"], &payload[name], &format!("{path}.{name}"), found);
            }
        }
        Value::Object(_) if schema["type"] == "array" && payload.is_array() => {
            for (place, item) in payload.as_array().into_iter().flatten().enumerate() {
                open(&schema["items"], item, &format!("{path}[{place}]"), found);
            }
        }
        Value::Object(_) if schema["type"].is_object() => open(&schema["type"], payload, path, found),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            if payload.is_null() {
                found.push(path.to_owned());
            }
        }
    }
}

#[test]
fn full_golden_events_fill_every_field_and_sparse_ones_none_that_may_be_open() {
    for schema in all_schemas() {
        let (parsed, golden) = (serde_json::from_str(schema.json).unwrap(), golden(schema));
        let (mut full, mut sparse) = (vec![], vec![]);
        open(&parsed, &golden.full.stored, schema.event_type, &mut full);
        open(&parsed, &golden.sparse.stored, schema.event_type, &mut sparse);
        assert_eq!(full, Vec::<String>::new(), "{}", file_of(schema));
        let optional = schema.json.matches("\"default\": null").count();
        assert!(sparse.len() >= optional.min(1), "{}: {sparse:?}", file_of(schema));
    }
}

#[test]
fn an_event_that_nobody_knows_is_named_with_its_position() {
    let schema = &all_schemas()[0];
    let unknown = RawEnvelope { event_version: "7.0".to_owned(), ..recorded(schema, "{}".to_owned()) };
    let error = unknown.decode::<OpportunityEvent>().unwrap_err();
    assert!(error.to_string().contains("opportunity.discovered 7.0 at position 7"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "opportunity.discovered has no version 7.0; the newest one known here is 1.0");
}
