//! Generates events of the domain, because the relay refuses payloads that do not match their schema.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Duration, Utc};
use cqrs_es::DomainEvent as _;
use domain::{
    envelope::EventMetadata,
    event_store::NewEvent,
    opportunity::{
        Agency, AmendmentStanding, Award, NaicsCode, NoticeDetails, NoticeFiling, NoticeId, NoticeSource, NoticeType,
        OpportunityEvent, PlaceOfPerformance, SetAside, UsdCents,
    },
};

use crate::faults::seeded_choices::SeededChoices;

/// An event with this sequence in a stream: a discovery first, then any that can follow.
///
/// Its mark is the causation id in the metadata, and the id of its append is the correlation id.
pub(super) fn create_event(
    choices: &mut SeededChoices,
    aggregate_id: &str,
    sequence: u64,
    append: &str,
    mark: &str,
) -> anyhow::Result<NewEvent> {
    let event = create_opportunity_event(choices, sequence, mark).context("creating an event")?;
    let tenant_id = if choices.random_bool(25) { "tenant-7".to_owned() } else { String::new() };
    Ok(NewEvent {
        aggregate_type: "opportunity",
        aggregate_id: aggregate_id.to_owned(),
        sequence,
        event_type: event.event_type(),
        event_version: event.event_version(),
        payload: serde_json::to_string(&event)?,
        metadata: EventMetadata {
            tenant_id,
            correlation_id: append.to_owned(),
            causation_id: mark.to_owned(),
            ..EventMetadata::default()
        },
    })
}

fn create_opportunity_event(
    choices: &mut SeededChoices,
    sequence: u64,
    mark: &str,
) -> anyhow::Result<OpportunityEvent> {
    let notice_id = NoticeId::try_new(mark)?;
    let posted_at = random_time(choices)?;
    let filing =
        NoticeFiling { notice_id: notice_id.clone(), source: NoticeSource::SamCsv, posted_at, digest: mark.into() };
    if sequence == 1 {
        return Ok(OpportunityEvent::Discovered { filing, details: Arc::new(create_notice_details(choices)?) });
    }
    Ok(match choices.number_below(4) {
        0 => OpportunityEvent::DeadlineChanged {
            notice_id,
            from: choices.random_bool(50).then_some(posted_at),
            to: Some(random_time(choices)?),
            posted_at: choices.random_bool(80).then_some(posted_at),
        },
        1 => {
            let award = Award {
                number: Some(format!("36C24{}", choices.number_below(100_000))),
                date: Some(posted_at.date_naive()),
                amount: Some(UsdCents(i64::try_from(choices.number_below(900_000_000))?)),
                awardee: choices.random_bool(70).then(|| "O'Neil \"Medical\" Supply, Inc.\\Ltd".to_owned()),
            };
            OpportunityEvent::Awarded { key: format!("award-{mark}"), award }
        }
        _ => {
            let standing =
                if choices.random_bool(80) { AmendmentStanding::Current } else { AmendmentStanding::Earlier };
            OpportunityEvent::Amended { filing, standing, details: Arc::new(create_notice_details(choices)?) }
        }
    })
}

fn create_notice_details(choices: &mut SeededChoices) -> anyhow::Result<NoticeDetails> {
    let long = choices.random_bool(5);
    Ok(NoticeDetails {
        solicitation_number: Some(format!("SPE2D1-26-R-{:04}", choices.number_below(10_000))),
        sub_tier: choices.random_bool(50).then(|| "DEFENSE LOGISTICS AGENCY".to_owned()),
        set_aside: if choices.random_bool(40) { Some(SetAside::try_new("SDVOSBC")?) } else { None },
        naics: Some(NaicsCode::try_new("339112")?),
        psc: Some("6530".to_owned()),
        response_deadline: Some(random_time(choices)?),
        active: Some(true),
        place: choices
            .random_bool(60)
            .then(|| PlaceOfPerformance { state: Some("VA".to_owned()), ..PlaceOfPerformance::default() }),
        description: Some("Deliver \t and\ninstall; 'as is' — größer. ".repeat(if long { 400 } else { 4 })),
        ..NoticeDetails::new(
            format!("Wheelchairs, manual; lot {}", choices.number_below(1_000)),
            NoticeType::try_new("Combined Synopsis/Solicitation")?,
            Agency::from_name("DEPT OF DEFENSE")?,
        )
    })
}

fn random_time(choices: &mut SeededChoices) -> anyhow::Result<DateTime<Utc>> {
    let origin: DateTime<Utc> = "2026-01-05T08:00:00Z".parse()?;
    Ok(origin + Duration::minutes(i64::try_from(choices.number_below(400_000))?))
}
