//! From what a batch wishes to what has to be written, as cheaply as what is stored allows.

use std::collections::{BTreeMap, HashMap};

use super::{
    OpportunityDocument, OpportunitySearch,
    desired_point::DesiredPoint,
    opportunity_document::point_id,
    point::{NewPoint, StoredPoint},
    write::PointWrites,
};
use crate::runtime::ProjectionError;

/// How often a batch is written because another writer was faster.
const ATTEMPTS: usize = 10;

/// An award of an opportunity that has no point.
#[derive(Debug, thiserror::Error)]
#[error("opportunity {id} is awarded but was never described: events before this one are missing")]
struct UndescribedOpportunity {
    id: String,
}

impl OpportunitySearch {
    /// Writes until every wish is met, by this writer or a faster one.
    pub(super) async fn write_desired(
        &self,
        mut wishes: BTreeMap<String, DesiredPoint>,
    ) -> Result<(), ProjectionError> {
        let mut vectors = HashMap::new();
        for _ in 0..ATTEMPTS {
            let ids: Vec<String> = wishes.keys().cloned().collect();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let known = self.load_stored_points(&ids).await.map_err(ProjectionError::unavailable)?;
            wishes.retain(|id, wish| !wish.is_satisfied_by(known.get(id.as_str())));
            if wishes.is_empty() {
                return Ok(());
            }
            self.find_vectors(&wishes, &known, &mut vectors).await?;
            self.write_points(self.plan_writes(&wishes, &known, &vectors)?).await?;
        }
        Err(ProjectionError::unavailable("another writer keeps changing the same points"))
    }

    fn plan_writes(
        &self,
        wishes: &BTreeMap<String, DesiredPoint>,
        known: &HashMap<&str, StoredPoint>,
        vectors: &HashMap<String, Vec<f32>>,
    ) -> Result<PointWrites, ProjectionError> {
        let model = self.embedder().model();
        let mut writes = PointWrites::default();
        for (id, wish) in wishes {
            let known = known.get(id.as_str());
            match (wish.newer_document(known), vectors.get(id)) {
                (Some(document), Some(dense)) => {
                    let mut payload = document.payload.clone();
                    payload.awarded = wish.awarded || known.is_some_and(|known| known.awarded);
                    model.name.clone_into(&mut payload.model);
                    model.version.clone_into(&mut payload.model_version);
                    writes.points.push(NewPoint { payload, dense: dense.clone(), terms: document.terms.clone() });
                }
                (Some(_), None) => return Err(ProjectionError::unavailable("the model gave too few vectors")),
                (None, _) if known.is_some() => writes.awarded.push(point_id(id)),
                (None, _) => return Err(ProjectionError::poison(UndescribedOpportunity { id: id.clone() })),
            }
        }
        Ok(writes)
    }

    /// The vector of every text to be written: from its point, from the live generation, and only then from the model.
    async fn find_vectors(
        &self,
        wishes: &BTreeMap<String, DesiredPoint>,
        known: &HashMap<&str, StoredPoint>,
        vectors: &mut HashMap<String, Vec<f32>>,
    ) -> Result<(), ProjectionError> {
        let model = self.embedder().model();
        let news = wishes.iter().filter_map(|(id, wish)| Some((id, wish.newer_document(known.get(id.as_str()))?)));
        let mut wanted: Vec<&OpportunityDocument> =
            news.filter(|(id, _)| !vectors.contains_key(*id)).map(|(_, news)| news).collect();
        let unchanged = |document: &&&OpportunityDocument| {
            known.get(document.payload.id.as_str()).is_some_and(|known| known.has_vector_of(document, &model))
        };
        let stored: Vec<&OpportunityDocument> = wanted.iter().filter(unchanged).copied().collect();
        if !stored.is_empty() {
            let found =
                self.load_document_vectors(self.collection(), &stored).await.map_err(ProjectionError::unavailable)?;
            vectors.extend(found);
            wanted.retain(|document| !vectors.contains_key(&document.payload.id));
        }
        if let (Some((live, _)), false) = (self.source_collections(), wanted.is_empty()) {
            match self.load_document_vectors(&live, &wanted).await {
                Ok(found) => vectors.extend(found),
                // Copying only saves work.
                Err(reason) => tracing::debug!(collection.name = &*live, %reason, "copying no vectors"),
            }
            wanted.retain(|document| !vectors.contains_key(&document.payload.id));
        }
        if !wanted.is_empty() {
            let texts: Vec<_> = wanted.iter().map(|document| document.text.clone()).collect();
            let made = self.embedder().embed(&texts).await.map_err(ProjectionError::unavailable)?;
            self.record_embedded(made.len());
            vectors.extend(wanted.iter().map(|document| document.payload.id.clone()).zip(made));
        }
        Ok(())
    }
}
