//! Writes search units; of concurrent writes, the newest unit wins, in whatever order they are made.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::{
    Payload,
    qdrant::{GetPointsBuilder, PointStruct, UpsertPointsBuilder},
};
use uuid::Uuid;

use super::{
    search_unit::{SearchUnit, UnitPayload},
    unit_point::new_unit_point,
};
use crate::{
    QueryError,
    opportunity_search::{OpportunitySearch, point::passage_vectors, write::sequence_condition},
    runtime::ProjectionError,
    storage::qdrant::{POINTS_PER_CALL, point_uuid, to_point_id, unreadable_error},
};

/// A stored unit, with the vectors of its passages.
struct StoredUnit {
    payload: UnitPayload,
    vectors: Vec<Vec<f32>>,
}

impl OpportunitySearch {
    /// Writes the units that are newer than the stored ones.
    pub(in crate::opportunity_search) async fn write_units(
        &self,
        units: &[&SearchUnit],
    ) -> Result<(), ProjectionError> {
        let mut newest = BTreeMap::<Uuid, &SearchUnit>::new();
        for unit in units {
            let entry = newest.entry(unit.point_id()).or_insert(unit);
            if entry.payload.sequence < unit.payload.sequence {
                *entry = unit;
            }
        }
        if newest.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = newest.keys().copied().collect();
        let stored = self.load_units(self.tenant_collection(), &ids).await.map_err(ProjectionError::unavailable)?;
        newest.retain(|id, unit| stored.get(id).is_none_or(|stored| stored.payload.sequence < unit.payload.sequence));
        let mut vectors = self.reuse_vectors(&newest, &stored).await;
        self.embed_missing(&newest, &mut vectors).await?;
        let model = self.embedder().model();
        // A request has one condition for all of its points, so points are grouped by condition.
        let mut points_by_sequence = BTreeMap::<u64, Vec<PointStruct>>::new();
        for (id, unit) in newest {
            let vectors = vectors.remove(&id).unwrap_or_default();
            let point = new_unit_point(id, unit, &model, vectors);
            points_by_sequence.entry(unit.payload.sequence).or_default().push(point);
        }
        for (sequence, points) in points_by_sequence {
            for chunk in points.chunks(POINTS_PER_CALL) {
                let upsert = UpsertPointsBuilder::new(self.tenant_collection(), chunk.to_vec())
                    .update_filter(sequence_condition(sequence))
                    .wait(true);
                self.qdrant().await_completion(self.client().upsert_points(upsert)).await?;
            }
        }
        Ok(())
    }

    /// Whether a unit, or a later version of it, is stored.
    pub(in crate::opportunity_search) async fn contains_unit(&self, unit: &SearchUnit) -> Result<bool, QueryError> {
        let id = unit.point_id();
        let stored = self.load_units(self.tenant_collection(), &[id]).await?;
        Ok(stored.get(&id).is_some_and(|stored| stored.payload.sequence >= unit.payload.sequence))
    }

    /// Whether a unit is stored as deleted.
    pub(super) async fn is_unit_deleted(&self, unit: &SearchUnit) -> Result<bool, QueryError> {
        let id = unit.point_id();
        let stored = self.load_units(self.tenant_collection(), &[id]).await?;
        Ok(stored.get(&id).is_some_and(|stored| stored.payload.gone))
    }

    async fn load_units(&self, collection: &str, ids: &[Uuid]) -> Result<HashMap<Uuid, StoredUnit>, QueryError> {
        let mut units = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(POINTS_PER_CALL) {
            let point_ids: Vec<_> = ids.iter().copied().map(to_point_id).collect();
            let get = GetPointsBuilder::new(collection, point_ids).with_payload(true).with_vectors(true);
            for mut point in self.qdrant().run_request(self.client().get_points(get)).await?.result {
                let Some(id) = point_uuid(&point).and_then(|id| id.parse().ok()) else { continue };
                let payload =
                    Payload::from(std::mem::take(&mut point.payload)).deserialize().map_err(unreadable_error)?;
                units.insert(id, StoredUnit { payload, vectors: passage_vectors(&point) });
            }
        }
        Ok(units)
    }

    /// The vectors of unchanged texts, from their points or from the generation to copy from.
    async fn reuse_vectors(
        &self,
        units: &BTreeMap<Uuid, &SearchUnit>,
        stored: &HashMap<Uuid, StoredUnit>,
    ) -> HashMap<Uuid, Vec<Vec<f32>>> {
        let model = self.embedder().model();
        let is_reusable = |unit: &SearchUnit, stored: &StoredUnit| {
            stored.payload.content_hash == unit.payload.content_hash
                && stored.payload.model == model.name
                && stored.payload.model_version == model.version
                && stored.vectors.len() == unit.texts.len()
        };
        let reusable_vectors = |stored_units: &HashMap<Uuid, StoredUnit>| -> HashMap<Uuid, Vec<Vec<f32>>> {
            let vectors = units.iter().filter_map(|(id, unit)| {
                let stored = stored_units.get(id).filter(|stored| is_reusable(unit, stored))?;
                Some((*id, stored.vectors.clone()))
            });
            vectors.collect()
        };
        let mut vectors = reusable_vectors(stored);
        if let Some((_, source)) = self.source_collections() {
            let missing: Vec<_> = units.keys().filter(|id| !vectors.contains_key(*id)).copied().collect();
            match self.load_units(&source, &missing).await {
                Ok(found) => vectors.extend(reusable_vectors(&found)),
                // Copying is an optimization: the texts are embedded instead.
                Err(reason) => tracing::debug!(collection.name = &*source, %reason, "vectors cannot be copied"),
            }
        }
        vectors
    }

    async fn embed_missing(
        &self,
        units: &BTreeMap<Uuid, &SearchUnit>,
        vectors: &mut HashMap<Uuid, Vec<Vec<f32>>>,
    ) -> Result<(), ProjectionError> {
        let missing: Vec<_> = units.iter().filter(|(id, _)| !vectors.contains_key(*id)).collect();
        let texts: Vec<_> = missing.iter().flat_map(|(_, unit)| unit.texts.iter().cloned()).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let mut embedded = self.embedder().embed(&texts).await.map_err(ProjectionError::unavailable)?.into_iter();
        self.record_embedded(texts.len());
        for (id, unit) in missing {
            let unit_vectors: Vec<_> = embedded.by_ref().take(unit.texts.len()).collect();
            if unit_vectors.len() < unit.texts.len() {
                return Err(ProjectionError::unavailable("the model returned too few vectors"));
            }
            vectors.insert(*id, unit_vectors);
        }
        Ok(())
    }
}
