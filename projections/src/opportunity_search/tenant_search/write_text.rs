//! Writes and removes the chunks of documents' texts.
//!
//! ```text
//! extracted: chunks ─▶ unit of the whole text, with their number and digest ─▶ deleted meanwhile? remove the chunks
//! deleted:   tombstone of the whole text ─▶ remove the chunks
//! ```
//! The unit of the whole text is written last, so that it says that all chunks are written. A worker that continues with
//! an older batch finds the tombstone before or after it has written chunks, and removes them.
//!
//! Memory is bounded by one text and the chunks of one write. The time of a batch is not: a batch that exceeds the runtime's
//! limit (`batch_timeout_ms`) is tried again, and then skips the texts and embeds none of the chunks that are stored already,
//! so that each attempt gets further.

use qdrant_client::qdrant::{Condition, DeletePointsBuilder, Filter};

use super::{
    projection::TEXT,
    search_unit::{ChunkSet, ChunkTotals, SearchUnit, UnitPayload},
    text_chunk::{TextChunk, split_chunks},
};
use crate::{opportunity_search::OpportunitySearch, runtime::ProjectionError};

/// Longest text that is read, in bytes: the longest that documents have.
const MAX_TEXT_BYTES: u64 = 20 << 20;

/// Most chunks of a text, about four million characters. What comes after is not found.
const MAX_CHUNKS: usize = 5_000;

/// Chunks of one write.
const CHUNKS_PER_WRITE: usize = 200;

/// Documents of one removal.
const DOCUMENTS_PER_REMOVAL: usize = 100;

/// There is no source of texts: a defect of the program that runs the projection.
#[derive(Debug, thiserror::Error)]
#[error("this program reads no texts of documents")]
struct NoTextSource;

impl SearchUnit {
    /// Whether it stands for the whole text of a document, which is written by
    /// [`OpportunitySearch::write_document_text`].
    pub(in crate::opportunity_search) fn is_whole_text(&self) -> bool {
        self.payload.chunks.is_some()
    }

    /// The key of the text, if it is a file of this document, or one of its company from before files had a document.
    fn own_text_key(&self) -> Option<&str> {
        let UnitPayload { tenant_id, id, chunks, .. } = &self.payload;
        let key = chunks.as_ref()?.text_key.as_str();
        let name = key.strip_prefix(tenant_id.as_str())?.strip_prefix('/')?;
        let is_own = match name.split_once('/') {
            Some((document, _)) => document == id,
            None => true,
        };
        is_own.then_some(key)
    }
}

impl OpportunitySearch {
    /// Writes the chunks of a document's text, unless they are written or the document is deleted. A text that is no
    /// longer in the object store has no chunks. Holds one text in memory.
    pub(in crate::opportunity_search) async fn write_document_text(
        &self,
        whole: &SearchUnit,
    ) -> Result<(), ProjectionError> {
        if self.contains_unit(whole).await.map_err(ProjectionError::unavailable)? {
            return Ok(());
        }
        let stream = whole.payload.stream();
        let text = self.read_document_text(whole).await?;
        let totals = if let Some(text) = &text {
            self.write_chunks(whole, text).await?
        } else {
            // An earlier attempt may have written some, before the text was removed.
            self.remove_chunks(std::slice::from_ref(&stream)).await?;
            ChunkTotals::default()
        };
        let chunks = whole.payload.chunks.clone().map(|chunks| ChunkSet { totals, ..chunks });
        let written = SearchUnit { payload: UnitPayload { chunks, ..whole.payload.clone() }, ..whole.clone() };
        self.write_units(&[&written]).await?;
        if self.is_unit_deleted(whole).await.map_err(ProjectionError::unavailable)? {
            self.remove_chunks(&[stream]).await?;
        }
        Ok(())
    }

    /// Removes the chunks of the documents that are deleted by these units.
    pub(in crate::opportunity_search) async fn remove_deleted_texts(
        &self,
        units: &[&SearchUnit],
    ) -> Result<(), ProjectionError> {
        let deleted = units.iter().map(|unit| &unit.payload).filter(|unit| unit.gone && unit.part == TEXT);
        let streams: Vec<_> = deleted.map(UnitPayload::stream).collect();
        for streams in streams.chunks(DOCUMENTS_PER_REMOVAL) {
            self.remove_chunks(streams).await?;
        }
        Ok(())
    }

    async fn read_document_text(&self, whole: &SearchUnit) -> Result<Option<String>, ProjectionError> {
        let stream = whole.payload.stream();
        let Some(key) = whole.own_text_key() else {
            tracing::warn!(document.stream = stream, "the text of a document is a file of another one, not indexed");
            return Ok(None);
        };
        let source = self.text_source().ok_or_else(|| ProjectionError::unavailable(NoTextSource))?;
        let text = source.read_text(key, MAX_TEXT_BYTES).await.map_err(ProjectionError::unavailable)?;
        if text.is_none() && !self.is_unit_deleted(whole).await.map_err(ProjectionError::unavailable)? {
            tracing::warn!(
                document.stream = stream,
                "the text of a document is not in the object store of this program, and not indexed; that is right if the \
                 document is deleted later in the log"
            );
        }
        Ok(text)
    }

    async fn write_chunks(&self, whole: &SearchUnit, text: &str) -> Result<ChunkTotals, ProjectionError> {
        let mut totals = ChunkTotals::default();
        let mut chunks = (1..).zip(split_chunks(text).take(MAX_CHUNKS));
        loop {
            let units: Vec<_> = chunks
                .by_ref()
                .take(CHUNKS_PER_WRITE)
                .map(|(number, chunk): (u32, TextChunk<'_>)| whole.to_chunk(number, &chunk))
                .collect();
            if units.is_empty() {
                break;
            }
            for unit in &units {
                totals.add_chunk(&unit.payload);
            }
            self.write_units(&units.iter().collect::<Vec<_>>()).await?;
        }
        if split_chunks(text).nth(MAX_CHUNKS).is_some() {
            tracing::warn!(
                document.stream = whole.payload.stream(),
                chunks = totals.count(),
                "a text is too long, only its beginning is indexed"
            );
        }
        Ok(totals)
    }

    async fn remove_chunks(&self, streams: &[String]) -> Result<(), ProjectionError> {
        let chunks = Filter::must([Condition::matches("text_of", streams.to_vec())]);
        let delete = DeletePointsBuilder::new(self.tenant_collection()).points(chunks).wait(true);
        self.qdrant().await_completion(self.client().delete_points(delete)).await
    }
}
