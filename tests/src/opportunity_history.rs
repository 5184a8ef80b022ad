//! Opportunities whose events tests project, as the domain decides them.
#![expect(clippy::unwrap_used, reason = "the values are constants of this file")]

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent as _;
use domain::{
    envelope::{EventMetadata, RawEnvelope},
    opportunity::{
        Agency, Award, NaicsCode, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType, Opportunity,
        OpportunityCommand, OpportunityId, SetAside, UsdCents,
    },
    value::PUBLIC_TENANT,
};
use uuid::Uuid;

/// The events of three opportunities: a wheelchair purchase that is amended, completed by an earlier notice and awarded
/// twice; a drydock repair with an award; and valves without an award.
pub fn history() -> Vec<RawEnvelope> {
    let mut log = MemoryLog::default();
    let award = |number: &str, cents| Award {
        number: Some(number.to_owned()),
        amount: Some(UsdCents(cents)),
        ..Award::default()
    };
    let wheelchairs = notice("w1", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs", "6530", 3);
    let ship = notice("s1", "HOMELAND SECURITY, DEPARTMENT OF", "S-1", "DRYDOCK: USCGC RAZORBILL", "J998", 4);
    let valves = notice("v1", "DEPT OF DEFENSE", "V-1", "48--VALVE,CHECK", "4820", 5);
    log.record(wheelchairs.clone());
    log.record(Notice { award: Some(award("SHIP", 81_930_000)), ..ship });
    log.record(valves);
    let mut amended = notice("w2", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs and lifts", "6530", 6);
    amended.details.response_deadline = Some(march(20));
    log.record(Notice { award: Some(award("CHAIR-1", 100)), ..amended });
    log.record(notice("w0", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs (sources)", "6530", 1));
    let last = notice("w3", "VETERANS AFFAIRS, DEPARTMENT OF", "W-1", "6530--Wheelchairs and lifts", "6530", 7);
    log.record(Notice { award: Some(award("CHAIR-2", 11)), ..last });
    log.events
}

/// Amended, completed by an earlier notice, awarded twice.
pub const WHEELCHAIRS: &str = "036:W1";
/// Awarded once.
pub const SHIP: &str = "070:S1";
/// Without an award.
pub const VALVES: &str = "097:V1";

/// Noon of a day of March 2026.
///
/// # Panics
/// If there is no such day.
pub fn march(day: u32) -> DateTime<Utc> {
    format!("2026-03-{day:02}T12:00:00.5Z").parse().unwrap()
}

/// A notice of the SAM.gov extract, posted on a day of March 2026.
///
/// # Panics
/// If the domain refuses a value.
pub fn notice(id: &str, agency: &str, number: &str, title: &str, psc: &str, day: u32) -> Notice {
    let details = NoticeDetails {
        solicitation_number: Some(number.to_owned()),
        set_aside: (psc == "6530").then(|| SetAside::try_new("SDVOSBC").unwrap()),
        naics: NaicsCode::try_new(if psc == "6530" { "339113" } else { "336611" }).ok(),
        psc: Some(psc.to_owned()),
        active: Some(true),
        description: Some(format!("What notice {id} is about.")),
        ..NoticeDetails::new(
            title.to_owned(),
            NoticeType::try_new("Solicitation").unwrap(),
            Agency::from_name(agency).unwrap(),
        )
    };
    let notice_id = NoticeId::try_new(id).unwrap();
    Notice { notice_id, source: NoticeSource::SamCsv, posted_at: march(day), details, award: None }
}

/// A log in memory, filled by the domain's own decisions.
#[derive(Debug, Default)]
pub struct MemoryLog {
    states: HashMap<OpportunityId, (Opportunity, u64)>,
    /// The events, in the order of their positions.
    pub events: Vec<RawEnvelope>,
}

impl MemoryLog {
    /// Appends the events that the domain decides for a notice.
    ///
    /// # Panics
    /// If the domain refuses it.
    pub fn record(&mut self, notice: Notice) {
        let id = notice.opportunity_id();
        let (state, sequence) = self.states.entry(id.clone()).or_default();
        for event in state.decide(OpportunityCommand::RecordNotice(Box::new(notice))).unwrap() {
            *sequence += 1;
            let position = self.events.len() as u64 + 1;
            self.events.push(RawEnvelope {
                position,
                event_id: Uuid::from_u128(u128::from(position)),
                tenant_id: PUBLIC_TENANT.to_owned(),
                aggregate_type: "opportunity".to_owned(),
                aggregate_id: id.to_string(),
                sequence: *sequence,
                event_type: event.event_type(),
                event_version: event.event_version(),
                // In the far future, so that no time to live expires the event.
                recorded_at: "2099-03-01T00:00:00Z".parse().unwrap(),
                metadata: EventMetadata { tenant_id: PUBLIC_TENANT.to_owned(), ..EventMetadata::default() },
                payload: serde_json::to_string(&event).unwrap(),
            });
            state.evolve(event);
        }
    }
}
