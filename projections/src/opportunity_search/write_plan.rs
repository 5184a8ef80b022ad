//! Plans the writes for the desired points of a batch; unchanged texts are not embedded again.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::{Condition, CountPointsBuilder, Filter, PointId};

use super::{
    OpportunityDocument, OpportunitySearch,
    desired_point::DesiredPoint,
    opportunity_document::point_id,
    point::{StoredPoint, new_point},
    write::{PointWrites, has_sequence},
};
use crate::{
    QueryError,
    runtime::ProjectionError,
    storage::qdrant::{POINTS_PER_CALL, to_point_id},
};

/// Attempts to write a batch while other workers change the same points.
const ATTEMPTS: usize = 10;

/// An opportunity has an award but no point.
#[derive(Debug, thiserror::Error)]
#[error("opportunity {id} has an award but was not discovered: events before this one are missing")]
struct UndescribedOpportunity {
    id: String,
}

impl OpportunitySearch {
    /// Writes until all points are as desired or newer, through this writer or another one.
    pub(super) async fn write_desired(
        &self,
        mut desired: BTreeMap<String, DesiredPoint>,
    ) -> Result<(), ProjectionError> {
        let mut vectors = HashMap::new();
        for _ in 0..ATTEMPTS {
            let ids: Vec<String> = desired.keys().cloned().collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let stored = self.load_stored_points(&ids).await.map_err(ProjectionError::unavailable)?;
            desired.retain(|id, point| !point.is_satisfied_by(stored.get(id.as_str())));
            if desired.is_empty() {
                return Ok(());
            }
            self.find_vectors(&desired, &stored, &mut vectors).await?;
            self.write_points(self.plan_writes(&desired, &stored, &vectors)?).await?;
            // Otherwise another writer was faster for some of them, or the store has lost a write.
            if self.contains_all(&desired).await.map_err(ProjectionError::unavailable)? {
                return Ok(());
            }
        }
        Err(ProjectionError::unavailable("another writer keeps changing the same points"))
    }

    /// Whether the collection has all of these points, as desired or newer. They are counted, which takes a third of
    /// the time of reading them.
    async fn contains_all(&self, desired: &BTreeMap<String, DesiredPoint>) -> Result<bool, QueryError> {
        let desired: Vec<_> = desired.iter().collect();
        for chunk in desired.chunks(POINTS_PER_CALL) {
            let mut ids_by_state = BTreeMap::<(u64, bool), Vec<PointId>>::new();
            for (id, point) in chunk {
                let sequence = point.document.as_ref().map_or(0, |document| document.payload.sequence);
                ids_by_state.entry((sequence, point.awarded)).or_default().push(to_point_id(point_id(id)));
            }
            let is_in_state = |((sequence, awarded), ids): ((u64, bool), Vec<PointId>)| {
                let awarded = awarded.then(|| Condition::matches("awarded", true));
                let conditions = [Condition::has_id(ids), has_sequence(sequence)].into_iter().chain(awarded);
                Condition::from(Filter::must(conditions))
            };
            let filter = Filter::should(ids_by_state.into_iter().map(is_in_state));
            let count = CountPointsBuilder::new(self.collection()).filter(filter).exact(true);
            let response = self.qdrant().run_request(self.client().count(count)).await?;
            if response.result.map_or(0, |result| result.count) != chunk.len() as u64 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn plan_writes(
        &self,
        desired: &BTreeMap<String, DesiredPoint>,
        stored: &HashMap<&str, StoredPoint>,
        vectors: &HashMap<String, Vec<f32>>,
    ) -> Result<PointWrites, ProjectionError> {
        let model = self.embedder().model();
        let mut writes = PointWrites::default();
        for (id, point) in desired {
            let stored = stored.get(id.as_str());
            match (point.newer_document(stored), vectors.get(id)) {
                (Some(document), Some(dense)) => {
                    let awarded = point.awarded || stored.is_some_and(|stored| stored.awarded);
                    let sequence = document.payload.sequence;
                    writes.add_point(sequence, awarded, new_point(document, awarded, &model, dense.clone()));
                }
                (Some(_), None) => return Err(ProjectionError::unavailable("the model returned too few vectors")),
                (None, _) if stored.is_some() => writes.add_award(to_point_id(point_id(id))),
                (None, _) => return Err(ProjectionError::poison(UndescribedOpportunity { id: id.clone() })),
            }
        }
        Ok(writes)
    }

    /// Finds the vectors of all texts to write: first in their points, then in the generation to copy from, and only
    /// then by the model.
    async fn find_vectors(
        &self,
        desired: &BTreeMap<String, DesiredPoint>,
        stored: &HashMap<&str, StoredPoint>,
        vectors: &mut HashMap<String, Vec<f32>>,
    ) -> Result<(), ProjectionError> {
        let model = self.embedder().model();
        let newer = desired.iter().filter_map(|(id, point)| Some((id, point.newer_document(stored.get(id.as_str()))?)));
        let mut missing: Vec<&OpportunityDocument> =
            newer.filter(|(id, _)| !vectors.contains_key(*id)).map(|(_, document)| document).collect();
        let is_unchanged = |document: &&&OpportunityDocument| {
            stored.get(document.payload.id.as_str()).is_some_and(|stored| stored.has_vector_of(document, &model))
        };
        let unchanged: Vec<&OpportunityDocument> = missing.iter().filter(is_unchanged).copied().collect();
        if !unchanged.is_empty() {
            let found = self
                .load_document_vectors(self.collection(), &unchanged)
                .await
                .map_err(ProjectionError::unavailable)?;
            vectors.extend(found);
            missing.retain(|document| !vectors.contains_key(&document.payload.id));
        }
        if let (Some((source, _)), false) = (self.source_collections(), missing.is_empty()) {
            match self.load_document_vectors(&source, &missing).await {
                Ok(found) => vectors.extend(found),
                // Copying is an optimization: the texts are embedded instead.
                Err(reason) => tracing::debug!(collection.name = &*source, %reason, "vectors cannot be copied"),
            }
            missing.retain(|document| !vectors.contains_key(&document.payload.id));
        }
        if !missing.is_empty() {
            let texts: Vec<_> = missing.iter().map(|document| document.text.clone()).collect();
            let embedded = self.embedder().embed(&texts).await.map_err(ProjectionError::unavailable)?;
            self.record_embedded(embedded.len());
            vectors.extend(missing.iter().map(|document| document.payload.id.clone()).zip(embedded));
        }
        Ok(())
    }
}
