//! The searchable details of an opportunity, and the payload of its point.

use chrono::{DateTime, Utc};
use domain::{
    envelope::RawEnvelope,
    opportunity::{NoticeDetails, NoticeFiling},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{embedding::NoticeText, terms::TermCounts};
use crate::runtime::bucket_of;

/// Namespace of point ids; changing it would orphan every point.
const POINT_IDS: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f8f_a1c5_0000_0000_0001);

/// Digits of the shortest prefix of a NAICS code that filters can name.
const NAICS_SECTOR: usize = 2;

/// The details of one opportunity for its point, and the sources of the point's vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpportunityDocument {
    /// The payload; `awarded` and the model are set when it is written.
    pub(super) payload: PointPayload,
    /// The text to embed.
    pub(super) text: NoticeText,
    /// The words and numbers of the notice.
    pub(super) terms: TermCounts,
}

/// The payload of a point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct PointPayload {
    pub(super) id: String,
    pub(super) tenant_id: String,
    /// Sequence of the event that set these details; a write of older details is refused.
    pub(super) sequence: u64,
    pub(super) title: String,
    pub(super) notice_type: String,
    pub(super) agency_code: String,
    pub(super) agency_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) naics: Option<String>,
    /// All prefixes of the NAICS code, so that a sector is found by an exact match.
    #[serde(default)]
    pub(super) naics_prefixes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) set_aside: Option<String>,
    pub(super) posted_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response_deadline: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) awarded: bool,
    /// The verify bucket of the opportunity.
    #[serde(default)]
    pub(super) bucket: u32,
    /// Hash of the embedded text.
    pub(super) content_hash: String,
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    pub(super) model_version: String,
}

impl OpportunityDocument {
    /// The document of an opportunity after an event that states its details.
    pub fn from_event(event: &RawEnvelope, filing: &NoticeFiling, details: NoticeDetails) -> Self {
        let text = NoticeText::new(&details.title, details.psc.as_deref(), details.description.as_deref());
        let naics = details.naics.map(String::from);
        let terms = TermCounts::from_notice(
            &details.title,
            solicitation_number(event, details.solicitation_number.as_deref()),
            details.psc.as_deref(),
            naics.as_deref(),
            details.description.as_deref(),
        );
        let payload = PointPayload {
            id: event.aggregate_id.clone(),
            tenant_id: event.tenant_id.clone(),
            sequence: event.sequence,
            title: details.title,
            notice_type: details.notice_type.into(),
            agency_code: details.agency.code,
            agency_name: details.agency.name,
            naics_prefixes: naics.as_deref().map(naics_prefixes).unwrap_or_default(),
            naics,
            set_aside: details.set_aside.map(String::from),
            posted_at: filing.posted_at,
            response_deadline: details.response_deadline,
            awarded: false,
            bucket: bucket_of(&event.aggregate_id),
            content_hash: text.content_hash(),
            model: String::new(),
            model_version: String::new(),
        };
        Self { payload, text, terms }
    }

    /// Title.
    pub fn title(&self) -> &str {
        &self.payload.title
    }

    /// Type of the current notice.
    pub fn notice_type(&self) -> &str {
        &self.payload.notice_type
    }

    /// The agency's code.
    pub fn agency_code(&self) -> &str {
        &self.payload.agency_code
    }

    /// The agency's name.
    pub fn agency_name(&self) -> &str {
        &self.payload.agency_name
    }

    /// The prefixes of the industry code by which criteria may name it, shortest first.
    pub fn naics_prefixes(&self) -> &[String] {
        &self.payload.naics_prefixes
    }

    /// Set-aside code.
    pub fn set_aside(&self) -> Option<&str> {
        self.payload.set_aside.as_deref()
    }

    /// Response deadline.
    pub fn response_deadline(&self) -> Option<DateTime<Utc>> {
        self.payload.response_deadline
    }
}

/// The solicitation number that the notice has, or else the one in the opportunity's id.
pub(super) fn solicitation_number<'a>(event: &'a RawEnvelope, number: Option<&'a str>) -> &'a str {
    number.unwrap_or_else(|| event.aggregate_id.split_once(':').map_or("", |(_, number)| number))
}

/// The id of an opportunity's point.
pub(super) fn point_id(aggregate_id: &str) -> Uuid {
    Uuid::new_v5(&POINT_IDS, aggregate_id.as_bytes())
}

fn naics_prefixes(naics: &str) -> Vec<String> {
    (NAICS_SECTOR..=naics.len()).filter_map(|length| naics.get(..length)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_id_never_changes() {
        assert_eq!(point_id("097:SPE4A726RX326").to_string(), "f347cb25-8cbe-5a8e-a20f-ee0b047492ab");
    }

    #[test]
    fn all_prefixes_of_a_naics_code_are_searchable() {
        assert_eq!(naics_prefixes("339113"), ["33", "339", "3391", "33911", "339113"]);
        assert_eq!(naics_prefixes("33"), ["33"]);
    }
}
