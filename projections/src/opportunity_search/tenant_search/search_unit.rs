//! A search unit: a section of a proposal, the analysis of a document, a resource.

use domain::envelope::RawEnvelope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::passage::split_passages;
use crate::{
    opportunity_search::{embedding::NoticeText, terms::TermCounts},
    runtime::bucket_of,
};

/// Namespace of point ids; changing it would orphan every point.
const POINT_IDS: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f8f_a1c5_0000_0000_0002);

/// The kind of aggregate that a unit is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchUnitKind {
    /// A proposal: its title, and each of its sections.
    Proposal,
    /// A document: its file name, its requirements, its analysis.
    Document,
    /// A resource.
    Resource,
}

impl SearchUnitKind {
    /// The name of the kind in payloads.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Proposal => "proposal",
            Self::Document => "document",
            Self::Resource => "resource",
        }
    }
}

/// A search unit as one event left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchUnit {
    /// The payload; the model is set when it is written.
    pub(super) payload: UnitPayload,
    /// The texts to embed, one for each passage.
    pub(super) texts: Vec<NoticeText>,
    /// The words and numbers of heading and text.
    pub(super) terms: TermCounts,
}

/// The payload of a point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct UnitPayload {
    pub(super) kind: SearchUnitKind,
    pub(super) tenant_id: String,
    /// The aggregate's id within its tenant.
    pub(super) id: String,
    /// The part of the aggregate that the unit is.
    pub(super) part: String,
    /// Sequence of the event that left it so; a write of an older state is refused.
    pub(super) sequence: u64,
    /// Heading of the part.
    pub(super) heading: String,
    /// The text, split into passages; the heading if there is no text.
    pub(super) passages: Vec<String>,
    /// Whether it was deleted; then it has no heading and no passages.
    pub(super) gone: bool,
    /// The verify bucket of the aggregate.
    pub(super) bucket: u32,
    /// Hash of the embedded texts.
    pub(super) content_hash: String,
    pub(super) model: String,
    pub(super) model_version: String,
}

impl SearchUnit {
    /// A unit with this heading and text.
    pub(super) fn from_event(event: &RawEnvelope, kind: SearchUnitKind, part: &str, heading: &str, text: &str) -> Self {
        let mut passages = split_passages(text);
        if passages.is_empty() {
            passages.push(heading.to_owned());
        }
        let texts: Vec<_> = passages.iter().map(|passage| NoticeText::new(heading, None, Some(passage))).collect();
        let hashes: Vec<_> = texts.iter().map(NoticeText::content_hash).collect();
        let content_hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, hashes.concat().as_bytes()).simple().to_string();
        let terms = TermCounts::from_text(heading, text);
        let payload = UnitPayload {
            heading: heading.to_owned(),
            passages,
            gone: false,
            content_hash,
            ..UnitPayload::empty(event, kind, part)
        };
        Self { payload, texts, terms }
    }

    /// A unit that was deleted.
    pub(super) fn deleted(event: &RawEnvelope, kind: SearchUnitKind, part: &str) -> Self {
        Self { payload: UnitPayload::empty(event, kind, part), texts: vec![], terms: TermCounts::default() }
    }

    /// The id of the unit's point.
    pub(super) fn point_id(&self) -> Uuid {
        self.payload.point_id()
    }
}

impl UnitPayload {
    fn empty(event: &RawEnvelope, kind: SearchUnitKind, part: &str) -> Self {
        Self {
            kind,
            tenant_id: event.tenant_id.clone(),
            id: event.local_id().to_owned(),
            part: part.to_owned(),
            sequence: event.sequence,
            heading: String::new(),
            passages: vec![],
            gone: true,
            bucket: bucket_of(&event.aggregate_id),
            content_hash: String::new(),
            model: String::new(),
            model_version: String::new(),
        }
    }

    pub(super) fn point_id(&self) -> Uuid {
        // Unambiguous, because a tenant's id has no line break and the part is last.
        let name = format!("{}\n{}\n{}\n{}", self.kind.name(), self.tenant_id, self.id, self.part);
        Uuid::new_v5(&POINT_IDS, name.as_bytes())
    }
}
