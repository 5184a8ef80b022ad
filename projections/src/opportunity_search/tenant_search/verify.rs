//! The expected rows of search units, and those read back.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use domain::envelope::RawEnvelope;
use qdrant_client::{Payload, qdrant::RetrievedPoint};
use uuid::Uuid;

use super::{
    projection::project_units,
    search_unit::{SearchUnit, UnitPayload},
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

impl OpportunitySearch {
    /// The rows of the units in a scope.
    pub(in crate::opportunity_search) async fn scan_unit_rows(
        &self,
        scope: &VerifyScope,
    ) -> Result<Vec<ReadModelRow>, QueryError> {
        self.scroll_rows(self.tenant_collection(), scope, |point| self.stored_unit_row(point)).await
    }

    fn stored_unit_row(&self, mut point: RetrievedPoint) -> ReadModelRow {
        let vectors = passage_vectors(&point);
        let is_valid = vectors.iter().all(|vector| {
            vector.len() == self.embedder().dimension()
                && vector.iter().all(|value| value.is_finite())
                && vector.iter().any(|value| *value != 0.0)
        });
        let payload = Payload::from(std::mem::take(&mut point.payload)).deserialize::<UnitPayload>();
        match payload {
            Ok(payload) if point_uuid(&point) == Some(payload.point_id().to_string().as_str()) => {
                unit_row(&payload, is_valid.then_some(vectors.len()), hash_terms(&term_dimensions(&point)))
            }
            Ok(_) | Err(_) => {
                let key = point_uuid(&point).map_or_else(|| format!("{:?}", point.id), str::to_owned);
                ReadModelRow::new(TABLE, key, "invalid payload or id")
            }
        }
    }
}

/// The row of a unit; `vectors` is the number of its vectors, `None` if any of them is invalid.
fn unit_row(payload: &UnitPayload, vectors: Option<usize>, terms: u64) -> ReadModelRow {
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    let key = format!("{}:{}:{} {}", payload.kind.name(), payload.tenant_id, payload.id, payload.part);
    ReadModelRow::new(TABLE, key, (hasher.finish(), vectors, terms))
}
