//! The expected rows of search units, and those read back.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::envelope::RawEnvelope;
use qdrant_client::{Payload, qdrant::RetrievedPoint};
use uuid::Uuid;

use super::{
    projection::project_units,
    search_unit::{ChunkTotals, SearchUnit, UnitPayload, chunk_terms, chunk_text},
};
use crate::{
    QueryError,
    opportunity_search::{
        OpportunitySearch,
        embedding::EmbeddingModelId,
        point::{hash_terms, passage_vectors, term_dimensions},
    },
    runtime::{ProjectionError, ReadModelRow, VerifyScope},
    storage::qdrant::point_uuid,
};

const TABLE: &str = "owned";

/// The expected units, folded from the log.
pub(in crate::opportunity_search) struct UnitFold {
    model: EmbeddingModelId,
    units: BTreeMap<Uuid, SearchUnit>,
}

impl UnitFold {
    pub(in crate::opportunity_search) fn new(model: EmbeddingModelId) -> Self {
        Self { model, units: BTreeMap::new() }
    }

    pub(in crate::opportunity_search) fn apply_event(&mut self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        self.units.extend(project_units(event)?.into_iter().map(|unit| (unit.point_id(), unit)));
        Ok(())
    }

    pub(in crate::opportunity_search) fn expected_rows(&self) -> impl Iterator<Item = ReadModelRow> {
        self.units.values().map(|unit| {
            let payload = UnitPayload {
                model: self.model.name.to_owned(),
                model_version: self.model.version.to_owned(),
                ..unit.payload.clone()
            };
            unit_row(&payload, Some(unit.texts.len()), hash_terms(&unit.terms.to_dimensions()))
        })
    }
}

/// The units that belong together in a comparison: chunks are compared with the number and digest that were recorded when
/// they were written, because the log does not have their text.
#[derive(Default)]
struct StoredTexts {
    /// The units of whole texts, with the number of their vectors and the hash of their terms.
    wholes: Vec<(UnitPayload, Option<usize>, u64)>,
    /// The chunks of each document's stream.
    chunks: HashMap<String, ChunkTotals>,
}

impl StoredTexts {
    fn into_rows(mut self) -> Vec<ReadModelRow> {
        let mut rows = vec![];
        for (mut payload, vectors, terms) in self.wholes {
            let found = self.chunks.remove(&payload.stream()).unwrap_or_default();
            let is_complete = payload.chunks.as_ref().is_some_and(|chunks| chunks.totals == found);
            payload.forget_chunk_totals();
            rows.push(unit_row(&payload, vectors.filter(|_| is_complete), terms));
        }
        let unexpected = |stream| ReadModelRow::new(TABLE, format!("document:{stream} text"), "chunks without a text");
        rows.extend(self.chunks.into_keys().map(unexpected));
        rows
    }
}

impl OpportunitySearch {
    /// The rows of the units in a scope.
    pub(in crate::opportunity_search) async fn scan_unit_rows(
        &self,
        scope: &VerifyScope,
    ) -> Result<Vec<ReadModelRow>, QueryError> {
        let mut texts = StoredTexts::default();
        let to_row = |point| self.stored_unit_row(point, &mut texts);
        let mut rows = self.scroll_rows(self.tenant_collection(), scope, to_row).await?;
        rows.extend(texts.into_rows());
        Ok(rows)
    }

    /// The row of a point; `None` for a point that was added to `texts`.
    fn stored_unit_row(&self, mut point: RetrievedPoint, texts: &mut StoredTexts) -> Option<ReadModelRow> {
        let vectors = passage_vectors(&point);
        let is_valid = vectors.iter().all(|vector| {
            vector.len() == self.embedder().dimension()
                && vector.iter().all(|value| value.is_finite())
                && vector.iter().any(|value| *value != 0.0)
        });
        let payload = Payload::from(std::mem::take(&mut point.payload)).deserialize::<UnitPayload>();
        match payload {
            Ok(payload) if point_uuid(&point) == Some(payload.point_id().to_string().as_str()) => {
                let (vectors, terms) = (is_valid.then_some(vectors.len()), hash_terms(&term_dimensions(&point)));
                if payload.chunks.is_some() {
                    texts.wholes.push((payload, vectors, terms));
                    return None;
                }
                if payload.text_of.is_some() && vectors == Some(1) && payload.is_chunk_with_terms(terms) {
                    texts.chunks.entry(payload.stream()).or_default().add_chunk(&payload);
                    return None;
                }
                Some(unit_row(&payload, vectors, terms))
            }
            Ok(_) | Err(_) => {
                let key = point_uuid(&point).map_or_else(|| format!("{:?}", point.id), str::to_owned);
                Some(ReadModelRow::new(TABLE, key, "invalid payload or id"))
            }
        }
    }
}

impl UnitPayload {
    /// Removes what the log does not say of a text.
    fn forget_chunk_totals(&mut self) {
        if let Some(chunks) = &mut self.chunks {
            chunks.totals = ChunkTotals::default();
        }
    }

    /// Whether the parts of a chunk agree, and its terms with them.
    fn is_chunk_with_terms(&self, terms: u64) -> bool {
        let [text] = self.passages.as_slice() else { return false };
        self.text_of.as_deref() == Some(self.stream().as_str())
            && self.content_hash == chunk_text(text).content_hash()
            && terms == hash_terms(&chunk_terms(text).to_dimensions())
    }
}

/// The row of a unit; `vectors` is the number of its vectors, `None` if any of them is invalid.
fn unit_row(payload: &UnitPayload, vectors: Option<usize>, terms: u64) -> ReadModelRow {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    let key = format!("{}:{}:{} {}", payload.kind.name(), payload.tenant_id, payload.id, payload.part);
    ReadModelRow::new(TABLE, key, (hasher.finish(), vectors, terms))
}
