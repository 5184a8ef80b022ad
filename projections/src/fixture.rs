//! Sample events for unit tests.

use std::sync::Arc;

use cqrs_es::DomainEvent;
use domain::{
    envelope::{Envelope, EventMetadata, RawEnvelope},
    opportunity::{
        Agency, AmendmentStanding, Award, NaicsCode, NoticeDetails, NoticeFiling, NoticeId, NoticeSource, NoticeType,
        OpportunityEvent, SetAside, UsdCents,
    },
    value::PUBLIC_TENANT,
};
use uuid::Uuid;

pub(crate) const OPPORTUNITY_ID: &str = "036:36C10G26R0005";

pub(crate) fn details(title: &str) -> NoticeDetails {
    NoticeDetails {
        solicitation_number: Some("36C10G26R0005".to_owned()),
        set_aside: Some(SetAside::try_new("SDVOSBC").unwrap()),
        naics: Some(NaicsCode::try_new("339113").unwrap()),
        psc: Some("6515".to_owned()),
        active: Some(true),
        description: Some("Lifts for Patients".to_owned()),
        ..NoticeDetails::new(
            title.to_owned(),
            NoticeType::try_new("Solicitation").unwrap(),
            Agency::from_name("VETERANS AFFAIRS, DEPARTMENT OF").unwrap(),
        )
    }
}

pub(crate) fn filing(notice: &str) -> NoticeFiling {
    NoticeFiling {
        notice_id: NoticeId::try_new(notice).unwrap(),
        source: NoticeSource::SamCsv,
        posted_at: "2026-03-03T12:17:50.808Z".parse().unwrap(),
        digest: format!("digest of {notice}"),
    }
}

pub(crate) fn discovered(title: &str) -> OpportunityEvent {
    OpportunityEvent::Discovered { filing: filing("n1"), details: Arc::new(details(title)) }
}

pub(crate) fn amended(title: &str, standing: AmendmentStanding) -> OpportunityEvent {
    OpportunityEvent::Amended { filing: filing("n2"), standing, details: Arc::new(details(title)) }
}

pub(crate) fn awarded(key: &str, cents: i64) -> OpportunityEvent {
    let award = Award { number: Some(key.to_owned()), amount: Some(UsdCents(cents)), ..Award::default() };
    OpportunityEvent::Awarded { key: key.to_owned(), award }
}

pub(crate) fn deadline_changed() -> OpportunityEvent {
    let to = Some("2026-04-01T00:00:00Z".parse().unwrap());
    OpportunityEvent::DeadlineChanged { notice_id: NoticeId::try_new("n2").unwrap(), from: None, to, posted_at: to }
}

pub(crate) fn recorded_event(sequence: u64, event: &OpportunityEvent) -> RawEnvelope {
    Envelope {
        position: 100 + sequence,
        event_id: Uuid::from_u128(u128::from(sequence)),
        tenant_id: PUBLIC_TENANT.to_owned(),
        aggregate_type: "opportunity".to_owned(),
        aggregate_id: OPPORTUNITY_ID.to_owned(),
        sequence,
        event_type: event.event_type(),
        event_version: event.event_version(),
        recorded_at: "2026-03-04T00:00:00Z".parse().unwrap(),
        metadata: EventMetadata::default(),
        payload: serde_json::to_string(event).unwrap(),
    }
}

/// An event with a payload of an unknown shape.
pub(crate) fn unreadable_event() -> RawEnvelope {
    RawEnvelope { payload: r#"{"type":"evaporated"}"#.to_owned(), ..recorded_event(2, &discovered("x")) }
}

/// An event of an unknown aggregate type, as a newer release would record it.
pub(crate) fn unknown_aggregate_event() -> RawEnvelope {
    RawEnvelope {
        aggregate_type: "spaceship".to_owned(),
        payload: "{}".to_owned(),
        ..recorded_event(1, &discovered("x"))
    }
}

/// An engagement event of the aggregate with the id `stream`.
pub(crate) fn engagement_event(aggregate_type: &str, event_type: &str, payload: &str) -> RawEnvelope {
    RawEnvelope {
        aggregate_type: aggregate_type.to_owned(),
        aggregate_id: "stream".to_owned(),
        event_type: event_type.to_owned(),
        event_version: "1.0".to_owned(),
        payload: payload.to_owned(),
        ..recorded_event(1, &discovered("x"))
    }
}
