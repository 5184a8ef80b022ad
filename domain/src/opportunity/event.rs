//! The events of an opportunity.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

mod decoding;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::value::{Award, CancellationReason, Notice, NoticeDetails, NoticeId, NoticeSource};
use crate::{event_version::event_versions, time_text, value::AuditStamp};

/// An event of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OpportunityEvent {
    /// The first notice was recorded.
    Discovered {
        /// The notice.
        filing: NoticeFiling,
        /// The details that it states. Shared with the state that the event is folded into, because they are large.
        #[serde(rename = "facts")]
        details: Arc<NoticeDetails>,
    },
    /// A further notice was recorded, or a new wording of a known one. The details are complete, like the notice:
    /// fields that the notice does not state are copied from the record.
    Amended {
        /// The notice.
        filing: NoticeFiling,
        /// Whether it became the current one.
        standing: AmendmentStanding,
        /// The details after the amendment.
        #[serde(rename = "facts")]
        details: Arc<NoticeDetails>,
    },
    /// The deadline for responses changed. Always follows the amendment that states it.
    DeadlineChanged {
        /// The notice that states it.
        notice_id: NoticeId,
        /// The deadline before.
        from: Option<DateTime<Utc>>,
        /// The new deadline.
        to: Option<DateTime<Utc>>,
        /// When the agency published that notice; `None` in events of version 1.0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        posted_at: Option<DateTime<Utc>>,
    },
    /// A contract was awarded, or an award got further details.
    Awarded {
        /// Identifies the award among the awards of one opportunity.
        key: String,
        /// The award.
        award: Award,
    },
    /// The agency cancelled the opportunity.
    Cancelled {
        /// Why, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<CancellationReason>,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The opportunity ended; its record remains readable.
    Archived {
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
}

impl OpportunityEvent {
    /// What read models show of an opportunity, if this event changes it. An earlier notice completes the history only,
    /// and a new deadline is also part of the amendment before it.
    pub fn into_content(self) -> Option<OpportunityContent> {
        match self {
            Self::Discovered { filing, details }
            | Self::Amended { filing, standing: AmendmentStanding::Current, details } => {
                Some(OpportunityContent::CurrentNotice { filing, details })
            }
            Self::Awarded { key, award } => Some(OpportunityContent::Award { key, award }),
            Self::Amended { standing: AmendmentStanding::Earlier, .. }
            | Self::DeadlineChanged { .. }
            | Self::Cancelled { .. }
            | Self::Archived { .. } => None,
        }
    }
}

/// What an event says about an opportunity besides its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpportunityContent {
    /// The notice that is the current one from this event on.
    CurrentNotice {
        /// The notice.
        filing: NoticeFiling,
        /// Its details, which are complete.
        details: Arc<NoticeDetails>,
    },
    /// An award, or further details of one.
    Award {
        /// Identifies the award among the awards of one opportunity.
        key: String,
        /// The award.
        award: Award,
    },
}

/// The origin of details: one notice from one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeFiling {
    /// The notice.
    pub notice_id: NoticeId,
    /// The source.
    pub source: NoticeSource,
    /// When the agency published it.
    #[serde(serialize_with = "time_text::serialize_time", deserialize_with = "time_text::deserialize_time")]
    pub posted_at: DateTime<Utc>,
    /// Digest of the notice as this source states it; distinguishes a repetition from a new wording.
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

/// Whether an amendment changes the current details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmendmentStanding {
    /// The amendment became the current notice.
    Current,
    /// It was published before the current notice and only completes the history.
    Earlier,
}

event_versions! {
    OpportunityEvent {
        Discovered => "opportunity.discovered", "1.1", from "1.0" by |_| {};
        Amended => "opportunity.amended", "1.1", from "1.0" by |_| {};
        DeadlineChanged => "opportunity.deadline_changed", "1.1", from "1.0" by |fields| {
            // Version 1.0 has no publication time. The amendment before it has one, but is another event.
            fields.insert("posted_at".to_owned(), Value::Null);
        };
        Awarded => "opportunity.awarded", "1.0";
        Cancelled => "opportunity.cancelled", "1.0";
        Archived => "opportunity.archived", "1.0";
    }
}
