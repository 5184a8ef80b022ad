//! What has happened to an opportunity.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::{Award, CancellationReason, Notice, NoticeDetails, NoticeId, NoticeSource};
use crate::value::AuditStamp;

/// Something that happened to an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OpportunityEvent {
    /// Its first notice was published.
    Discovered {
        /// The notice.
        filing: NoticeFiling,
        /// What it states.
        facts: Box<NoticeDetails>,
    },
    /// A further notice, or a new wording of a known one. A notice is a whole document, so the facts are whole, too:
    /// what the notice leaves unsaid is carried over from the record.
    Amended {
        /// The notice.
        filing: NoticeFiling,
        /// Whether it became the current one.
        standing: AmendmentStanding,
        /// What is on record with it.
        facts: Box<NoticeDetails>,
    },
    /// The deadline for responses moved. Always follows the amendment that says so.
    DeadlineChanged {
        /// The notice that says so.
        notice_id: NoticeId,
        /// The deadline before.
        from: Option<DateTime<Utc>>,
        /// The deadline from now on.
        to: Option<DateTime<Utc>>,
        /// When the agency published that notice; events of version 1.0 do not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        posted_at: Option<DateTime<Utc>>,
    },
    /// A contract was awarded, or more became known about an award.
    Awarded {
        /// Tells the awards of one opportunity apart.
        key: String,
        /// The award.
        award: Award,
    },
    /// The agency no longer wants it.
    Cancelled {
        /// Why, if that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<CancellationReason>,
        /// Who said so, and when.
        stamp: AuditStamp,
    },
    /// It is over, and kept for the record.
    Archived {
        /// Who said so, and when.
        stamp: AuditStamp,
    },
}

/// Where facts come from: one notice as one source told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeFiling {
    /// The notice.
    pub notice_id: NoticeId,
    /// Who told it.
    pub source: NoticeSource,
    /// When the agency published it.
    pub posted_at: DateTime<Utc>,
    /// Fingerprint of the notice as it was told; tells a repetition from a new wording.
    pub digest: String,
}

impl NoticeFiling {
    /// The filing of a notice.
    pub fn from_notice(notice: &Notice) -> Self {
        Self {
            notice_id: notice.notice_id.clone(),
            source: notice.source,
            posted_at: notice.posted_at,
            digest: notice.digest(),
        }
    }
}

/// What an amendment means for the facts on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendmentStanding {
    /// It is the newest word.
    Current,
    /// It was published before the current notice and only completes the history.
    Earlier,
}

impl DomainEvent for OpportunityEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Discovered { .. } => "opportunity.discovered",
            Self::Amended { .. } => "opportunity.amended",
            Self::DeadlineChanged { .. } => "opportunity.deadline_changed",
            Self::Awarded { .. } => "opportunity.awarded",
            Self::Cancelled { .. } => "opportunity.cancelled",
            Self::Archived { .. } => "opportunity.archived",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Discovered { .. }
            | Self::Amended { .. }
            | Self::Awarded { .. }
            | Self::Cancelled { .. }
            | Self::Archived { .. } => "1.0",
            Self::DeadlineChanged { .. } => "1.1",
        }
        .to_owned()
    }
}
