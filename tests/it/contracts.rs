//! Events of every recorded version stay readable: by the schema they were recorded with, the upcasters, and every read
//! model.

mod real_records;

use std::{collections::BTreeSet, fs, path::PathBuf};

use cqrs_es::{Aggregate, DomainEvent as _};
use domain::{
    aggregates::with_aggregates,
    envelope::{EventMetadata, RawEnvelope},
    event_version::VersionedEvents,
    opportunity::{Opportunity, OpportunityEvent},
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
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use uuid::Uuid;

/// The golden events of one version: one with every field, one with as few as possible.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenEvents {
    event_type: String,
    version: String,
    // Context and schema are compared with the current ones by a test of `schemas`.
    #[serde(rename = "context")]
    _context: IgnoredAny,
    #[serde(rename = "schema")]
    _schema: IgnoredAny,
    full: GoldenPayload,
    sparse: GoldenPayload,
}

/// A payload as it was recorded, and the same in the current shape.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct GoldenPayload {
    stored: Value,
    current: Value,
}

fn golden_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden")
}

/// The golden events of one aggregate.
fn read_golden_events(aggregate: &str) -> Vec<GoldenEvents> {
    let path = golden_folder().join(format!("{aggregate}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every schema with the golden events of its version.
fn schemas_with_golden_events() -> Vec<(&'static EventSchema, GoldenEvents)> {
    let kinds: BTreeSet<_> = all_schemas().iter().map(aggregate_of).collect();
    let golden: Vec<_> = kinds.into_iter().flat_map(read_golden_events).collect();
    let find = |schema: &EventSchema| {
        let same = |events: &&GoldenEvents| events.event_type == schema.event_type && events.version == schema.version;
        golden.iter().find(same).cloned().unwrap_or_else(|| panic!("{} has no golden event", name_version(schema)))
    };
    all_schemas().iter().map(|schema| (schema, find(schema))).collect()
}

fn name_version(schema: &EventSchema) -> String {
    format!("{} {}", schema.event_type, schema.version)
}

/// The aggregate type, which an event type begins with.
fn aggregate_of(schema: &EventSchema) -> &'static str {
    schema.event_type.split_once('.').unwrap().0
}

fn create_envelope(schema: &EventSchema, payload: String) -> RawEnvelope {
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
fn every_version_has_its_golden_events_and_there_are_no_others() {
    let kinds: BTreeSet<_> = all_schemas().iter().map(aggregate_of).collect();
    let files: BTreeSet<_> =
        fs::read_dir(golden_folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, kinds.iter().map(|kind| format!("{kind}.json")).collect());
    for kind in kinds {
        let golden =
            read_golden_events(kind).into_iter().map(|events| format!("{} {}", events.event_type, events.version));
        let schemas = all_schemas().iter().filter(|schema| aggregate_of(schema) == kind).map(name_version);
        assert_eq!(
            golden.collect::<Vec<_>>(),
            schemas.collect::<Vec<_>>(),
            "{kind}.json, in the order of the catalogue"
        );
    }
}

#[test]
fn golden_events_are_readable_by_schemas_upcasters_and_every_projection() {
    for (schema, GoldenEvents { full, sparse, .. }) in schemas_with_golden_events() {
        for case in [full, sparse] {
            let mut avro = vec![];
            schema.encode(&case.stored.to_string(), &mut avro).unwrap_or_else(|misfit| {
                panic!("{}: {misfit}", name_version(schema));
            });
            let json = EventDecoder::parse(schema.json).unwrap().decode_to_json(&avro).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), case.stored, "{}", name_version(schema));

            let event = create_envelope(schema, json);
            assert_current_form(&event, &case.current);
            match aggregate_of(schema) {
                Opportunity::TYPE => {
                    let event_of_view = ViewEvent::Opportunity(event.decode().unwrap());
                    let view = ViewChange { id: event.aggregate_id.clone(), sequence: 1, event: event_of_view };
                    assert_eq!(OpportunityViews::project(&event).unwrap(), [view]);
                    OpportunitySearch::project(&event).unwrap();
                }
                Watchlist::TYPE | Visit::TYPE => assert_no_opportunity_changes(&event),
                _ => assert_not_projected(&event),
            }
            assert!(!OpportunityAnalytics::project(&event).unwrap().is_empty(), "analytics takes every event");
        }
    }
}

macro_rules! define_assert_current_form {
    ($($context:ident { $($module:ident::$aggregate:ident,)+ })+) => {
        /// Checks that an event, decoded for its aggregate, has the current form.
        fn assert_current_form(event: &RawEnvelope, current: &Value) {
            match event.aggregate_type.as_str() {
                $($(<domain::$module::$aggregate as Aggregate>::TYPE => {
                    assert_decoded_form::<domain::$module::$aggregate>(event, current);
                })+)+
                unknown => panic!("{unknown} is no aggregate"),
            }
        }
    };
}

with_aggregates!(define_assert_current_form);

fn assert_decoded_form<A>(event: &RawEnvelope, current: &Value)
where
    A: Aggregate<Event: VersionedEvents + PartialEq + std::fmt::Debug>,
{
    let payload = event.decode::<A::Event>().unwrap();
    assert_eq!(&serde_json::to_value(&payload).unwrap(), current, "{} {}", event.event_type, event.event_version);
    assert_eq!(serde_json::from_value::<A::Event>(current.clone()).unwrap(), payload);
    // It is recorded again under its own type, in the current version.
    assert_eq!(payload.event_type(), event.event_type);
    let history = A::Event::VERSION_HISTORIES.iter().find(|history| history.event_type == event.event_type).unwrap();
    assert_eq!(payload.event_version(), history.current);
}

/// Checks that no projection of opportunities uses the event yet.
fn assert_not_projected(event: &RawEnvelope) {
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
    for (schema, golden) in schemas_with_golden_events() {
        let parsed = serde_json::from_str(schema.json).unwrap();
        let (mut full, mut sparse) = (vec![], vec![]);
        collect_null_fields(&parsed, &golden.full.stored, schema.event_type, &mut full);
        collect_null_fields(&parsed, &golden.sparse.stored, schema.event_type, &mut sparse);
        assert_eq!(full, Vec::<String>::new(), "{}", name_version(schema));
        let optional = schema.json.matches("\"default\": null").count();
        assert!(sparse.len() >= optional.min(1), "{}: {sparse:?}", name_version(schema));
    }
}

#[test]
fn an_event_of_an_unknown_version_is_named_with_its_position() {
    let schema = &all_schemas()[0];
    let unknown = RawEnvelope { event_version: "7.0".to_owned(), ..create_envelope(schema, "{}".to_owned()) };
    let error = unknown.decode::<OpportunityEvent>().unwrap_err();
    assert!(error.to_string().contains("opportunity.discovered 7.0 at position 7"), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let newest = OpportunityEvent::VERSION_HISTORIES[0].current;
    assert_eq!(
        cause,
        format!(
            "unknown version 7.0 of opportunity.discovered; the newest version that this release knows is {newest}"
        )
    );
}
