//! What can be asked of an opportunity.

use chrono::{DateTime, Utc};

use super::{
    record::OpportunityRecord,
    value::{Award, CancellationReason, NaicsCode, Notice, NoticeId, NoticeSource, SetAside},
};
use crate::value::AuditStamp;

/// A command for one opportunity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpportunityCommand {
    /// Take in a published notice, whatever it turns out to be: the first one, an amendment, a repetition. Never
    /// refused; this is what an import asks.
    RecordNotice(Box<Notice>),
    /// Enter an opportunity that is not on record yet.
    Discover(Box<Notice>),
    /// Change what is on record.
    Amend(Box<AmendOpportunity>),
    /// Add an award.
    Award(AwardOpportunity),
    /// Note that the agency no longer wants it.
    Cancel {
        /// Why, if that is known.
        reason: Option<CancellationReason>,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// Note that it is over.
    Archive {
        /// Who says so, and when.
        stamp: AuditStamp,
    },
}

/// A change by hand: what is `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmendOpportunity {
    /// When it was amended.
    pub amended_at: DateTime<Utc>,
    /// The notice that says so; by default the current one.
    pub notice_id: Option<NoticeId>,
    /// New title.
    pub title: Option<String>,
    /// New text.
    pub description: Option<String>,
    /// New deadline for responses.
    pub response_deadline: Option<DateTime<Utc>>,
    /// New set-aside.
    pub set_aside: Option<SetAside>,
    /// New NAICS code.
    pub naics: Option<NaicsCode>,
}

impl AmendOpportunity {
    /// The notice that this change amounts to, given what is on record.
    pub(super) fn into_notice(self, record: &OpportunityRecord) -> Notice {
        let mut facts = record.facts.clone();
        if let Some(title) = self.title {
            facts.title = title;
        }
        facts.description = self.description.or(facts.description);
        facts.response_deadline = self.response_deadline.or(facts.response_deadline);
        facts.set_aside = self.set_aside.or(facts.set_aside);
        facts.naics = self.naics.or(facts.naics);
        Notice {
            notice_id: self.notice_id.unwrap_or_else(|| record.notice_id.clone()),
            source: NoticeSource::Manual,
            // Someone who amends by hand speaks about what is current, also when the notice is dated later.
            posted_at: self.amended_at.max(record.posted_at),
            facts,
            award: None,
        }
    }
}

/// An award entered by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwardOpportunity {
    /// The award; told apart from others by its number.
    pub award: Award,
}
