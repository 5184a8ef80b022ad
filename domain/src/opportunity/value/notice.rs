//! A notice and the details that it states.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Award,
    code::{NaicsCode, NoticeId, NoticeType, SetAside},
    resource_link::ResourceLinks,
};
use crate::{
    opportunity::{Agency, OpportunityId},
    time_text,
};

/// The source that a notice was received from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeSource {
    /// The 47-column CSV extract of SAM.gov.
    SamCsv,
    /// The Get Opportunities Public API, version 2.
    SamApi,
    /// The full-text line format.
    SamText,
    /// A user, through the API.
    Manual,
}

/// A published notice. It has no contact persons: they are personal data, and the log is never deleted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// SAM.gov's id.
    pub notice_id: NoticeId,
    /// The source.
    pub source: NoticeSource,
    /// When the agency published it.
    pub posted_at: DateTime<Utc>,
    /// The details of the solicitation.
    pub details: NoticeDetails,
    /// The award it announces, if any.
    pub award: Option<Award>,
}

impl Notice {
    /// The opportunity this notice is about.
    pub fn opportunity_id(&self) -> OpportunityId {
        let number = self.details.solicitation_number.as_deref();
        OpportunityId::from_notice(&self.details.agency, number, &self.notice_id)
    }

    /// Digest of details, award and publication time: 32 hexadecimal digits of SHA-256 over their JSON.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        // Serialising plain data does not fail. If it did, the digest of an empty text would make the notice count as
        // a repetition, which is safe.
        hash.update(serde_json::to_vec(&(&self.details, &self.award, self.posted_at)).unwrap_or_default());
        format!("{:x}", hash.finalize()).chars().take(32).collect()
    }
}

/// The details of the solicitation that a notice states; `None` if it does not state a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeDetails {
    /// The title.
    pub title: String,
    /// The kind of notice.
    pub notice_type: NoticeType,
    /// The department.
    pub agency: Agency,
    /// The agency's own number, as written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solicitation_number: Option<String>,
    /// The kind of the solicitation's first notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_type: Option<NoticeType>,
    /// The agency below the department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_tier: Option<String>,
    /// The contracting office.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub office: Option<String>,
    /// The set-aside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
    /// The code of the industry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub naics: Option<NaicsCode>,
    /// The product or service code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psc: Option<String>,
    /// The deadline for responses. It may be before the publication: SAM.gov has such notices; they are not refused.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "time_text::serialize_optional_time",
        deserialize_with = "time_text::deserialize_optional_time"
    )]
    pub response_deadline: Option<DateTime<Utc>>,
    /// When SAM.gov archives it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "time_text::serialize_optional_date",
        deserialize_with = "time_text::deserialize_optional_date"
    )]
    pub archive_on: Option<NaiveDate>,
    /// Whether SAM.gov lists it as active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// The place of performance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<PlaceOfPerformance>,
    /// The description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The URL of its page on SAM.gov.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The URLs of its files; `None` in events before version 1.1, and for sources that do not have them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_links: Option<ResourceLinks>,
}

impl NoticeDetails {
    /// Details with what every notice says; the rest is not stated.
    pub fn new(title: String, notice_type: NoticeType, agency: Agency) -> Self {
        Self {
            title,
            notice_type,
            agency,
            solicitation_number: None,
            base_type: None,
            sub_tier: None,
            office: None,
            set_aside: None,
            naics: None,
            psc: None,
            response_deadline: None,
            archive_on: None,
            active: None,
            place: None,
            description: None,
            link: None,
            resource_links: None,
        }
    }

    /// Deserializes details to be shared. `serde` would put them into a box first, and copy them.
    pub(crate) fn deserialize_shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Self>, D::Error> {
        Self::deserialize(deserializer).map(Arc::new)
    }

    /// Fills fields that are `None` from older details, so that a format without a field does not erase it.
    pub(crate) fn with_missing_from(self, older: &Self) -> Self {
        Self {
            title: self.title,
            notice_type: self.notice_type,
            agency: self.agency,
            solicitation_number: self.solicitation_number.or_else(|| older.solicitation_number.clone()),
            base_type: self.base_type.or_else(|| older.base_type.clone()),
            sub_tier: self.sub_tier.or_else(|| older.sub_tier.clone()),
            office: self.office.or_else(|| older.office.clone()),
            set_aside: self.set_aside.or_else(|| older.set_aside.clone()),
            naics: self.naics.or_else(|| older.naics.clone()),
            psc: self.psc.or_else(|| older.psc.clone()),
            response_deadline: self.response_deadline.or(older.response_deadline),
            archive_on: self.archive_on.or(older.archive_on),
            active: self.active.or(older.active),
            place: self.place.or_else(|| older.place.clone()),
            description: self.description.or_else(|| older.description.clone()),
            link: self.link.or_else(|| older.link.clone()),
            // That there are no files says nothing new about a record without any.
            resource_links: self
                .resource_links
                .filter(|links| !links.is_empty() || older.resource_links.is_some())
                .or_else(|| older.resource_links.clone()),
        }
    }
}

/// The place where the contract is performed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlaceOfPerformance {
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// State or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zip: Option<String>,
    /// Country code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}
