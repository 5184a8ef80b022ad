//! The commands of the benchmark, and samples of the events that they record.

use chrono::{DateTime, TimeDelta, Utc};
use cqrs_es::DomainEvent as _;
use domain::{
    envelope::EventMetadata,
    event_store::NewEvent,
    opportunity::{
        Agency, AmendOpportunity, InvalidValue, NaicsCode, Notice, NoticeDetails, NoticeId, NoticeSource, NoticeType,
        Opportunity, OpportunityCommand, OpportunityEvent, PlaceOfPerformance,
    },
};

use super::AppendBenchError;

const DESCRIPTION: &str = "The Department of Veterans Affairs intends to award a firm fixed price contract for ceiling \
    mounted patient lifts including delivery, installation, training of staff and five years of maintenance at the \
    medical center named below. Offers are due at the date and time stated. The NAICS code and its size standard are \
    as stated. Questions have to be sent in writing and are answered by an amendment of this notice.";

/// Sample events of the workload, for a baseline that writes the same amount.
pub(super) struct SampleEvents {
    /// The payload of the first event of a stream.
    pub(super) discovered: String,
    /// The payload of the second event.
    pub(super) amended: String,
    /// The metadata of both.
    pub(super) metadata: String,
}

/// Generates commands.
#[derive(Clone)]
pub(super) struct Workload {
    notice: Notice,
    /// The caller of the commands.
    pub(super) origin: EventMetadata,
}

impl Workload {
    pub(super) fn new() -> Result<Self, AppendBenchError> {
        let notice = sample_notice().map_err(AppendBenchError::Notice)?;
        let origin = EventMetadata {
            user_id: "system:bench".to_owned(),
            tenant_id: "public".to_owned(),
            correlation_id: "00000000-0000-7000-8000-000000000000".to_owned(),
            ..EventMetadata::default()
        };
        Ok(Self { notice, origin })
    }

    /// Returns a command that discovers a new opportunity.
    pub(super) fn discover_command(&self, number: u64) -> OpportunityCommand {
        let mut notice = self.notice.clone();
        notice.details.solicitation_number = Some(format!("36C10G26R{number:08}"));
        OpportunityCommand::Discover(Box::new(notice))
    }

    /// Returns a command that amends the opportunity, which records one event.
    pub(super) fn amend_command(&self) -> OpportunityCommand {
        OpportunityCommand::Amend(Box::new(AmendOpportunity {
            title: Some("Patient lifts, ceiling mounted, amendment 1".to_owned()),
            ..AmendOpportunity::unchanged(self.notice.posted_at + TimeDelta::days(1))
        }))
    }

    /// Returns the first event of a stream.
    pub(super) fn discovered_event(&self, aggregate_id: String, sample: &SampleEvents) -> NewEvent {
        NewEvent {
            aggregate_type: "opportunity",
            aggregate_id,
            sequence: 1,
            event_type: "opportunity.discovered".to_owned(),
            event_version: "1.0".to_owned(),
            payload: sample.discovered.clone(),
            metadata: self.origin.clone(),
        }
    }

    /// Returns samples of the events that the commands record.
    pub(super) fn sample_events(&self) -> Result<SampleEvents, AppendBenchError> {
        let mut opportunity = Opportunity::default();
        let discovered = decide_single_event(&mut opportunity, self.discover_command(1))?;
        let amended = decide_single_event(&mut opportunity, self.amend_command())?;
        let metadata = serde_json::to_string(&self.origin).map_err(AppendBenchError::Json)?;
        Ok(SampleEvents { discovered, amended, metadata })
    }
}

fn decide_single_event(opportunity: &mut Opportunity, command: OpportunityCommand) -> Result<String, AppendBenchError> {
    let events: Vec<OpportunityEvent> = opportunity.decide(command).unwrap_or_default();
    let [event] = events.as_slice() else { return Err(AppendBenchError::Workload { events: events.len() }) };
    opportunity.evolve(event.clone());
    tracing::debug!(event.kind = event.event_type(), "created a sample event");
    serde_json::to_string(event).map_err(AppendBenchError::Json)
}

fn sample_notice() -> Result<Notice, InvalidValue> {
    let posted_at = DateTime::<Utc>::from_timestamp(1_772_539_200, 0).unwrap_or_default();
    Ok(Notice {
        notice_id: NoticeId::try_new("f7de794d27e242e89584e27bd9e2b7aa")?,
        source: NoticeSource::SamCsv,
        posted_at,
        details: NoticeDetails {
            sub_tier: Some("VETERANS AFFAIRS, DEPARTMENT OF".to_owned()),
            office: Some("PCAC HEALTH INFORMATION".to_owned()),
            naics: Some(NaicsCode::try_new("339113")?),
            psc: Some("6530".to_owned()),
            response_deadline: Some(posted_at + TimeDelta::days(30)),
            active: Some(true),
            place: Some(PlaceOfPerformance {
                city: Some("Tampa".to_owned()),
                state: Some("FL".to_owned()),
                ..PlaceOfPerformance::default()
            }),
            description: Some(DESCRIPTION.to_owned()),
            ..NoticeDetails::new(
                "Patient lifts, ceiling mounted".to_owned(),
                NoticeType::try_new("Solicitation")?,
                Agency::from_name("VETERANS AFFAIRS, DEPARTMENT OF")?,
            )
        },
        award: None,
    })
}
