//! One thing that is found: a section, a document's summary, a resource.

use domain::envelope::RawEnvelope;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::passage::split_passages;
use crate::{
    opportunity_search::{embedding::NoticeText, terms::TermCounts},
    runtime::bucket_of,
    tenant_views::local_id,
};

/// Point ids are derived in this name space; changing it would orphan every point.
const POINT_IDS: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f8f_a1c5_0000_0000_0002);

/// What kind of thing a unit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchUnitKind {
    /// A proposal: its title, and each of its sections.
    Proposal,
    /// A document: its name, what it asks for, what it was summed up to.
    Document,
    /// A resource.
    Resource,
}

impl SearchUnitKind {
    /// The word for it in the store.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Proposal => "proposal",
            Self::Document => "document",
            Self::Resource => "resource",
        }
    }
}

/// A unit as one event left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchUnit {
    /// The payload, all but what the store adds.
    pub(super) payload: UnitPayload,
    /// What is embedded, passage by passage.
    pub(super) texts: Vec<NoticeText>,
    /// Its words and numbers.
    pub(super) terms: TermCounts,
}

/// The payload of a point.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct UnitPayload {
    pub(super) kind: SearchUnitKind,
    pub(super) tenant_id: String,
    /// The thing's id within its tenant.
    pub(super) id: String,
    /// Which part of the thing.
    pub(super) part: String,
    /// Fence: the sequence of the event that left it so.
    pub(super) sequence: u64,
    /// What it is called.
    pub(super) heading: String,
    /// What it says.
    pub(super) passages: Vec<String>,
    /// Whether it was deleted. Such a point holds nothing else of it.
    pub(super) gone: bool,
    /// The bucket that the thing is compared in.
    pub(super) bucket: u32,
    /// Fingerprint of the embedded text.
    pub(super) content_hash: String,
    pub(super) model: String,
    pub(super) model_version: String,
}

impl SearchUnit {
    /// A unit that says this, all of it.
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

    /// The id of its point.
    pub(super) fn point_id(&self) -> Uuid {
        self.payload.point_id()
    }
}

impl UnitPayload {
    fn empty(event: &RawEnvelope, kind: SearchUnitKind, part: &str) -> Self {
        Self {
            kind,
            tenant_id: event.tenant_id.clone(),
            id: local_id(event).to_owned(),
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
        // A tenant's name has neither of these letters in it, and the part is last.
        let name = format!("{}\n{}\n{}\n{}", self.kind.name(), self.tenant_id, self.id, self.part);
        Uuid::new_v5(&POINT_IDS, name.as_bytes())
    }
}
