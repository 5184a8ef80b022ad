//! A search unit: a section of a proposal, the analysis of a document, a chunk of its text, a resource.

use domain::envelope::RawEnvelope;
use qdrant_client::qdrant::Value;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{passage::split_passages, text_chunk::TextChunk};
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
    /// A document: its file name, its requirements, its analysis, the chunks of its text.
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

/// The chunks of a text. Events have only the key of the text; verify compares the chunks that are stored with those that
/// were written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ChunkSet {
    /// Key of the text in the object store, which ends with the hash of the text.
    pub(super) text_key: String,
    #[serde(flatten)]
    pub(super) totals: ChunkTotals,
}

impl ChunkSet {
    /// The value of the field in a point's payload, as it is serialized.
    pub(super) fn to_value(&self) -> Value {
        let Self { text_key, totals: ChunkTotals { count, digest } } = self;
        let digest = i64::try_from(*digest).unwrap_or(i64::MAX);
        vec![
            ("text_key", Value::from(text_key.as_str())),
            ("count", i64::from(*count).into()),
            ("digest", digest.into()),
        ]
        .into()
    }
}

/// Number and digest of chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct ChunkTotals {
    count: u32,
    /// Independent of their order. Has 63 bits, because the store's integers have a sign.
    digest: u64,
}

impl ChunkTotals {
    pub(super) fn add_chunk(&mut self, chunk: &UnitPayload) {
        let name = format!("{}\n{}\n{:?}\n{}", chunk.part, chunk.sequence, chunk.page, chunk.content_hash);
        self.count += 1;
        self.digest ^= Uuid::new_v5(&POINT_IDS, name.as_bytes()).as_u64_pair().0 >> 1;
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }
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
    /// Page of a chunk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<u32>,
    /// Stream of the document whose text a chunk is part of. Its chunks are removed by this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text_of: Option<String>,
    /// The chunks of a document's text, in the unit that stands for the whole text. It has no passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chunks: Option<ChunkSet>,
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

    /// The unit that stands for the whole text of a document, before any chunk was written.
    pub(super) fn whole_text(event: &RawEnvelope, part: &str, text_key: &str) -> Self {
        let chunks = ChunkSet { text_key: text_key.to_owned(), totals: ChunkTotals::default() };
        let empty = UnitPayload::empty(event, SearchUnitKind::Document, part);
        let payload = UnitPayload { gone: false, chunks: Some(chunks), ..empty };
        Self { payload, texts: vec![], terms: TermCounts::default() }
    }

    /// The unit of a chunk of this whole text; chunks are numbered from 1.
    pub(super) fn to_chunk(&self, number: u32, chunk: &TextChunk<'_>) -> Self {
        let payload = UnitPayload {
            part: format!("{}:{number}", self.payload.part),
            heading: format!("Page {}", chunk.page),
            passages: vec![chunk.text.to_owned()],
            page: Some(chunk.page),
            text_of: Some(self.payload.stream()),
            chunks: None,
            content_hash: chunk_text(chunk.text).content_hash(),
            ..self.payload.clone()
        };
        Self { payload, texts: vec![chunk_text(chunk.text)], terms: chunk_terms(chunk.text) }
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
            page: None,
            text_of: None,
            chunks: None,
            bucket: bucket_of(&event.aggregate_id),
            content_hash: String::new(),
            model: String::new(),
            model_version: String::new(),
        }
    }

    /// Id of the aggregate's stream.
    pub(super) fn stream(&self) -> String {
        format!("{}:{}", self.tenant_id, self.id)
    }

    pub(super) fn point_id(&self) -> Uuid {
        // Unambiguous, because a tenant's id has no line break and the part is last.
        let name = format!("{}\n{}\n{}\n{}", self.kind.name(), self.tenant_id, self.id, self.part);
        Uuid::new_v5(&POINT_IDS, name.as_bytes())
    }
}

/// The text of a chunk as it is embedded: without its heading, which says nothing about its subject.
pub(super) fn chunk_text(text: &str) -> NoticeText {
    NoticeText::new("", None, Some(text))
}

/// The words and numbers of a chunk.
pub(super) fn chunk_terms(text: &str) -> TermCounts {
    TermCounts::from_text("", text)
}
