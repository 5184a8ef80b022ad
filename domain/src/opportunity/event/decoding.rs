//! Decodes events of opportunities, the most frequent and largest ones.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer};

use super::{AmendmentStanding, NoticeFiling, OpportunityEvent};
use crate::{
    opportunity::value::{Award, CancellationReason, NoticeDetails, NoticeId},
    tagged_enum::{ExternallyTagged, deserialize_tagged},
    value::AuditStamp,
};

/// The variants of [`OpportunityEvent`] for the decoder. The compiler compares their fields.
#[derive(Deserialize)]
#[serde(remote = "OpportunityEvent", rename_all = "snake_case")]
enum EventVariant {
    Discovered {
        filing: NoticeFiling,
        #[serde(rename = "facts", deserialize_with = "NoticeDetails::deserialize_shared")]
        details: Arc<NoticeDetails>,
    },
    Amended {
        filing: NoticeFiling,
        standing: AmendmentStanding,
        #[serde(rename = "facts", deserialize_with = "NoticeDetails::deserialize_shared")]
        details: Arc<NoticeDetails>,
    },
    DeadlineChanged {
        notice_id: NoticeId,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        #[serde(default)]
        posted_at: Option<DateTime<Utc>>,
    },
    Awarded {
        key: String,
        award: Award,
    },
    Cancelled {
        #[serde(default)]
        reason: Option<CancellationReason>,
        stamp: AuditStamp,
    },
    Archived {
        stamp: AuditStamp,
    },
}

impl ExternallyTagged for OpportunityEvent {
    fn decode_variant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventVariant::deserialize(deserializer)
    }
}

impl<'de> Deserialize<'de> for OpportunityEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_tagged(deserializer)
    }
}
