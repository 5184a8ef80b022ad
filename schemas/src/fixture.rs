//! Generators of events for tests.

mod document;
pub(crate) mod doubling;
mod opportunity;
mod proposal_generation;

use chrono::{DateTime, SecondsFormat, Utc};
use cqrs_es::DomainEvent;
use domain::{
    document::DocumentEvent,
    opportunity::OpportunityEvent,
    proposal_generation::ProposalGenerationEvent,
    value::{AuditStamp, DocumentId},
};
use proptest::{prelude::*, strategy::Union};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::catalog::{EventSchema, find_schema};

/// An event of the aggregates whose schemas together have every construct that events use; it serializes as that event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum AnyEvent {
    Document(DocumentEvent),
    Opportunity(OpportunityEvent),
    ProposalGeneration(ProposalGenerationEvent),
}

impl AnyEvent {
    /// Parses a JSON text as an event of the same aggregate.
    pub(crate) fn parse_same_kind(&self, json: &str) -> serde_json::Result<Self> {
        match self {
            Self::Document(_) => serde_json::from_str(json).map(Self::Document),
            Self::Opportunity(_) => serde_json::from_str(json).map(Self::Opportunity),
            Self::ProposalGeneration(_) => serde_json::from_str(json).map(Self::ProposalGeneration),
        }
    }

    fn type_and_version(&self) -> (String, String) {
        match self {
            Self::Document(event) => (event.event_type(), event.event_version()),
            Self::Opportunity(event) => (event.event_type(), event.event_version()),
            Self::ProposalGeneration(event) => (event.event_type(), event.event_version()),
        }
    }
}

/// Any event of these aggregates.
pub(crate) fn any_event() -> impl Strategy<Value = AnyEvent> {
    Union::new([
        document::any_event().prop_map(AnyEvent::Document).boxed(),
        opportunity::any_event().prop_map(AnyEvent::Opportunity).boxed(),
        proposal_generation::any_event().prop_map(AnyEvent::ProposalGeneration).boxed(),
    ])
}

/// The schema of an event's version.
pub(crate) fn schema_of(event: &AnyEvent) -> &'static EventSchema {
    let (event_type, version) = event.type_and_version();
    find_schema(&event_type, &version).expect("a schema of the event's version")
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
