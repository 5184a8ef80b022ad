//! The commands of an opportunity.

use chrono::{DateTime, Utc};

use super::{
    record::OpportunityRecord,
    value::{
        Award, CancellationReason, NaicsCode, Notice, NoticeDetails, NoticeId, NoticeSource, ResourceLinks, SetAside,
    },
};
use crate::value::AuditStamp;

/// A command for one opportunity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpportunityCommand {
    /// Records a published notice, which may be the first one, an amendment or a repetition. Never refused; imports use
    /// this command.
    RecordNotice(Box<Notice>),
    /// Records a notice that its source lists again after it had left the source's list. As [`Self::RecordNotice`]; in
    /// addition, an archived opportunity is open again if this is its current notice, even if the notice says nothing
    /// new.
    RelistNotice(Box<Notice>),
    /// Creates an opportunity that is not recorded yet.
    Discover(Box<Notice>),
    /// Changes the record.
    Amend(Box<AmendOpportunity>),
    /// Adds an award.
    Award(AwardOpportunity),
    /// Records that the agency cancelled the opportunity.
    Cancel {
        /// Why, if known.
        reason: Option<CancellationReason>,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Records that the opportunity has ended.
    Archive {
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
}

/// A manual change; fields that are `None` stay unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmendOpportunity {
    /// When it was amended.
    pub amended_at: DateTime<Utc>,
    /// The notice that announces the change; by default the current one.
    pub notice_id: Option<NoticeId>,
    /// New title.
    pub title: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New deadline for responses.
    pub response_deadline: Option<DateTime<Utc>>,
    /// New set-aside.
    pub set_aside: Option<SetAside>,
    /// New NAICS code.
    pub naics: Option<NaicsCode>,
    /// New URLs of files; an empty list removes them.
    pub resource_links: Option<ResourceLinks>,
}

impl AmendOpportunity {
    /// An amendment that changes no field.
    pub fn unchanged(amended_at: DateTime<Utc>) -> Self {
        Self {
            amended_at,
            notice_id: None,
            title: None,
            description: None,
            response_deadline: None,
            set_aside: None,
            naics: None,
            resource_links: None,
        }
    }

    /// Whether every field stays as it is.
    pub fn changes_nothing(&self) -> bool {
        let Self { amended_at: _, notice_id, title, description, response_deadline, set_aside, naics, resource_links } =
            self;
        notice_id.is_none()
            && title.is_none()
            && description.is_none()
            && response_deadline.is_none()
            && set_aside.is_none()
            && naics.is_none()
            && resource_links.is_none()
    }

    /// Converts the change to a notice, with the unchanged fields of the record.
    pub(super) fn into_notice(self, record: &OpportunityRecord) -> Notice {
        let mut details = NoticeDetails::clone(&record.details);
        if let Some(title) = self.title {
            details.title = title;
        }
        details.description = self.description.or(details.description);
        details.response_deadline = self.response_deadline.or(details.response_deadline);
        details.set_aside = self.set_aside.or(details.set_aside);
        details.naics = self.naics.or(details.naics);
        details.resource_links = self.resource_links.or(details.resource_links);
        Notice {
            notice_id: self.notice_id.unwrap_or_else(|| record.notice_id.clone()),
            source: NoticeSource::Manual,
            // A manual change applies to the current notice, even if that notice has a later date.
            posted_at: self.amended_at.max(record.posted_at),
            details,
            award: None,
        }
    }
}

/// A manually entered award.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwardOpportunity {
    /// The award; its number identifies it.
    pub award: Award,
}
