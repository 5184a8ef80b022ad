//! The detail view of an opportunity.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::opportunity::{Award, NoticeDetails, NoticeId, Opportunity};

/// Status of an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpportunityViewStatus {
    /// No contract has been awarded.
    Open,
    /// At least one contract was awarded.
    Awarded,
    /// The agency cancelled it.
    Cancelled,
    /// It was archived.
    Archived,
}

impl OpportunityViewStatus {
    /// The name of the status in counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Awarded => "awarded",
            Self::Cancelled => "cancelled",
            Self::Archived => "archived",
        }
    }

    /// The status of a folded state; `None` before the opportunity was discovered.
    pub(super) fn from_state(state: &Opportunity) -> Option<Self> {
        match state {
            Opportunity::Undiscovered => None,
            Opportunity::Open(_) => Some(Self::Open),
            Opportunity::Awarded(_) => Some(Self::Awarded),
            Opportunity::Cancelled(_) => Some(Self::Cancelled),
            Opportunity::Archived(_) => Some(Self::Archived),
        }
    }
}

/// An opportunity with all its recorded details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityView {
    /// Agency code and solicitation number.
    pub id: String,
    /// Sequence of the last applied event.
    pub version: u64,
    /// Status of the opportunity.
    pub status: OpportunityViewStatus,
    /// Details of the current notice.
    pub details: NoticeDetails,
    /// Id of the current notice.
    pub notice_id: NoticeId,
    /// When the current notice was published.
    pub posted_at: DateTime<Utc>,
    /// When the first recorded notice was published.
    pub first_posted_at: DateTime<Utc>,
    /// Number of notices about the opportunity.
    pub notice_count: u64,
    /// The awards by their key.
    pub awards: BTreeMap<String, Award>,
    /// Sum of the awards in US cents; `None` while none has an amount.
    pub awarded_cents: Option<i64>,
}

impl OpportunityView {
    /// The view of a folded state; `None` before the opportunity was discovered.
    pub(super) fn from_state(id: &str, version: u64, state: &Opportunity) -> Option<Self> {
        let (status, record) = (OpportunityViewStatus::from_state(state)?, state.record()?);
        Some(Self {
            id: id.to_owned(),
            version,
            status,
            details: NoticeDetails::clone(&record.details),
            notice_id: record.notice_id.clone(),
            posted_at: record.posted_at,
            first_posted_at: record.first_posted_at,
            notice_count: record.notice_count() as u64,
            awards: record.awards.clone(),
            awarded_cents: record.awarded_cents(),
        })
    }
}
