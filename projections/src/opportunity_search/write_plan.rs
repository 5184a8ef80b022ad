//! Plans the writes for the desired points of a batch; unchanged texts are not embedded again.

use std::collections::{BTreeMap, HashMap};

use super::{
    OpportunityDocument, OpportunitySearch,
    desired_point::DesiredPoint,
    opportunity_document::point_id,
    point::{NewPoint, StoredPoint},
    write::PointWrites,
};
use crate::runtime::ProjectionError;

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
        }
        Err(ProjectionError::unavailable("another writer keeps changing the same points"))
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
                    let mut payload = document.payload.clone();
                    payload.awarded = point.awarded || stored.is_some_and(|stored| stored.awarded);
                    model.name.clone_into(&mut payload.model);
                    model.version.clone_into(&mut payload.model_version);
                    writes.points.push(NewPoint { payload, dense: dense.clone(), terms: document.terms.clone() });
                }
                (Some(_), None) => return Err(ProjectionError::unavailable("the model returned too few vectors")),
                (None, _) if stored.is_some() => writes.awarded.push(point_id(id)),
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
