//! An opportunity as it is compared with searches.

use chrono::{DateTime, Utc};
use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeFiling},
};
use projections::opportunity_search::OpportunityDocument;
use uuid::Uuid;

/// Digits of the shortest prefix of a NAICS code that a search can name.
const NAICS_SECTOR: usize = 2;

/// The details of an opportunity after an event that states them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchedOpportunity {
    /// The opportunity's id.
    pub id: String,
    /// The tenant who may see it; public ones are visible to all.
    pub tenant_id: String,
    /// The position of the event in the log.
    pub position: u64,
    /// The event's id.
    pub event_id: Uuid,
    /// Shared by everything that one request causes.
    pub correlation_id: Uuid,
    /// Title.
    pub title: String,
    /// Type of the notice.
    pub notice_type: String,
    /// The agency's code.
    pub agency_code: String,
    /// The agency's name.
    pub agency_name: String,
    /// Industry code.
    pub naics: Option<String>,
    /// Set-aside code.
    pub set_aside: Option<String>,
    /// Response deadline.
    pub response_deadline: Option<DateTime<Utc>>,
    /// Its text, as it is indexed for search.
    pub document: Box<OpportunityDocument>,
}

impl MatchedOpportunity {
    /// The opportunity after an event that states its details.
    pub fn from_event(event: &RawEnvelope, filing: &NoticeFiling, details: NoticeDetails) -> Self {
        Self {
            id: event.aggregate_id.clone(),
            tenant_id: event.tenant_id.clone(),
            position: event.position,
            event_id: event.event_id,
            correlation_id: Uuid::parse_str(&event.metadata.correlation_id).unwrap_or(event.event_id),
            title: details.title.clone(),
            notice_type: details.notice_type.to_string(),
            agency_code: details.agency.code.clone(),
            agency_name: details.agency.name.clone(),
            naics: details.naics.as_ref().map(ToString::to_string),
            set_aside: details.set_aside.as_ref().map(ToString::to_string),
            response_deadline: details.response_deadline,
            document: Box::new(OpportunityDocument::from_event(event, filing, details)),
        }
    }

    /// The prefixes of its NAICS code by which searches may name it, shortest first.
    pub(crate) fn naics_prefixes(&self) -> impl Iterator<Item = &str> {
        let code = self.naics.as_deref().unwrap_or_default();
        (NAICS_SECTOR..=code.len()).filter_map(|length| code.get(..length))
    }
}
