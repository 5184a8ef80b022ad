//! An opportunity as it is compared with searches.

use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeFiling},
};
use projections::opportunity_search::OpportunityDocument;
use uuid::Uuid;

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
    /// The span that the event belongs to; empty without a sampled trace.
    pub traceparent: String,
    /// Its details and its text, as they are indexed for search.
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
            traceparent: event.metadata.traceparent.clone(),
            document: Box::new(OpportunityDocument::from_event(event, filing, details)),
        }
    }
}
