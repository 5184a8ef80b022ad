//! Generators of events for tests.

mod company;
mod document;
pub(crate) mod doubling;
mod inbox;
mod opportunity;
mod proposal;
mod resource;
mod task;
mod visit;
mod watchlist;

use chrono::{DateTime, SecondsFormat, Utc};
use cqrs_es::DomainEvent;
use domain::{
    company::CompanyEvent,
    document::DocumentEvent,
    inbox::InboxEvent,
    opportunity::OpportunityEvent,
    proposal::ProposalEvent,
    resource::ResourceEvent,
    task::TaskEvent,
    value::{AuditStamp, DocumentId},
    visit::VisitEvent,
    watchlist::WatchlistEvent,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::catalog::{EventSchema, find_schema};

/// An event of any aggregate; it serializes as that event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum AnyEvent {
    Opportunity(OpportunityEvent),
    Watchlist(WatchlistEvent),
    Visit(VisitEvent),
    Company(CompanyEvent),
    Inbox(InboxEvent),
    Document(DocumentEvent),
    Proposal(ProposalEvent),
    Resource(ResourceEvent),
    Task(TaskEvent),
}

impl AnyEvent {
    /// Parses a JSON text as an event of the same aggregate.
    pub(crate) fn parse_same_kind(&self, json: &str) -> serde_json::Result<Self> {
        match self {
            Self::Opportunity(_) => serde_json::from_str(json).map(Self::Opportunity),
            Self::Watchlist(_) => serde_json::from_str(json).map(Self::Watchlist),
            Self::Visit(_) => serde_json::from_str(json).map(Self::Visit),
            Self::Company(_) => serde_json::from_str(json).map(Self::Company),
            Self::Inbox(_) => serde_json::from_str(json).map(Self::Inbox),
            Self::Document(_) => serde_json::from_str(json).map(Self::Document),
            Self::Proposal(_) => serde_json::from_str(json).map(Self::Proposal),
            Self::Resource(_) => serde_json::from_str(json).map(Self::Resource),
            Self::Task(_) => serde_json::from_str(json).map(Self::Task),
        }
    }
}

/// The schema of an event's version.
pub(crate) fn schema_of(event: &AnyEvent) -> &'static EventSchema {
    fn find_event_schema(event: &impl DomainEvent) -> Option<&'static EventSchema> {
        find_schema(&event.event_type(), &event.event_version())
    }
    let schema = match event {
        AnyEvent::Opportunity(event) => find_event_schema(event),
        AnyEvent::Watchlist(event) => find_event_schema(event),
        AnyEvent::Visit(event) => find_event_schema(event),
        AnyEvent::Company(event) => find_event_schema(event),
        AnyEvent::Inbox(event) => find_event_schema(event),
        AnyEvent::Document(event) => find_event_schema(event),
        AnyEvent::Proposal(event) => find_event_schema(event),
        AnyEvent::Resource(event) => find_event_schema(event),
        AnyEvent::Task(event) => find_event_schema(event),
    };
    schema.expect("a schema of the event's version")
}

/// Any event. The generators name every field, so that a new field does not compile until it is generated.
pub(crate) fn any_event() -> BoxedStrategy<AnyEvent> {
    prop_oneof![
        2 => opportunity::any_event().prop_map(AnyEvent::Opportunity),
        1 => watchlist::any_event().prop_map(AnyEvent::Watchlist),
        1 => visit::any_event().prop_map(AnyEvent::Visit),
        1 => company::any_event().prop_map(AnyEvent::Company),
        1 => inbox::any_event().prop_map(AnyEvent::Inbox),
        1 => document::any_event().prop_map(AnyEvent::Document),
        1 => proposal::any_event().prop_map(AnyEvent::Proposal),
        1 => resource::any_event().prop_map(AnyEvent::Resource),
        1 => task::any_event().prop_map(AnyEvent::Task),
    ]
    .boxed()
}

/// A typical event: about twenty fields, a description, 1 KB of JSON.
pub(crate) fn typical_event() -> AnyEvent {
    AnyEvent::Opportunity(opportunity::typical_event())
}

/// Any text: Unicode, quotes, control characters, empty and long ones.
fn any_text() -> BoxedStrategy<String> {
    let escapes = "[\"\\\\\n\r\t\u{8}\u{c}\u{0}-\u{1f}a-c]{0,12}";
    prop_oneof![any::<String>(), escapes, "[ -~é漢😀]{100,400}", Just(String::new())].boxed()
}

/// A text value with any content, since stored events are not validated again.
fn any_code<T: DeserializeOwned + std::fmt::Debug>() -> impl Strategy<Value = T> {
    any_text().prop_map(|text| serde_json::from_value(serde_json::Value::String(text)).unwrap())
}

/// Deserializes a value from its stored form.
fn from_stored_form<T: DeserializeOwned>(stored: &impl Serialize) -> T {
    serde_json::from_value(serde_json::to_value(stored).unwrap()).unwrap()
}

fn any_id() -> impl Strategy<Value = DocumentId> {
    any::<u128>().prop_map(|number| DocumentId::new(Uuid::from_u128(number)))
}

fn any_stamp() -> impl Strategy<Value = AuditStamp> {
    (any_code(), any_time()).prop_map(|(by, at)| AuditStamp { by, at })
}

/// Any time with a precision of microseconds.
fn any_time() -> BoxedStrategy<DateTime<Utc>> {
    let extremes = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC].map(|time| time.timestamp_micros());
    let micros = prop_oneof![
        extremes[0]..=extremes[1],
        0..2_000_000_000_000_000_i64,
        (0..2_000_000_000_i64).prop_map(|seconds| seconds * 1_000_000),
        (-2_000_000_000_000_i64..0).prop_map(|millis| millis * 1_000),
        proptest::sample::select(extremes.to_vec()),
    ];
    micros
        .prop_map(|micros| DateTime::from_timestamp_micros(micros).unwrap())
        .prop_filter(
            // Chrono cannot parse all times that it formats near its limits.
            "chrono cannot parse the time",
            |time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true).parse::<DateTime<Utc>>().is_ok(),
        )
        .boxed()
}
