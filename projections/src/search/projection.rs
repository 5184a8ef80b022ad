//! What the log's events become in `Qdrant`.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use domain::{
    context::Context,
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};

use super::{
    Document, Search,
    compare::PointFold,
    document::{PointPayload, point_id},
    fold::{Wish, fold},
    store::StoredPoint,
};
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// What an event changes in search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchChange {
    /// An opportunity's current facts.
    Described(Box<Document>),
    /// An opportunity has an award.
    Awarded {
        /// The opportunity.
        id: String,
    },
}

/// A point ready to be written.
pub(super) struct NewPoint {
    pub(super) payload: PointPayload,
    pub(super) vector: Vec<f32>,
}

impl Projection for Search {
    const NAME: &'static str = "search";

    type Change = SearchChange;

    fn subscribes() -> &'static [Context] {
        &[Context::Opportunities]
    }

    fn pace() -> Pace {
        Pace { batch_events: 1_000, linger: Duration::from_millis(30), rebuild_events: 2_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn project(event: &RawRecorded) -> Result<Vec<SearchChange>, ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(vec![]);
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?.payload;
        Ok(match payload {
            OpportunityEvent::Discovered { filing, facts }
            | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
                vec![SearchChange::Described(Box::new(Document::of(event, &filing, *facts)))]
            }
            OpportunityEvent::Awarded { .. } => vec![SearchChange::Awarded { id: event.aggregate_id.clone() }],
            // An earlier notice changes no current fact; a new deadline is part of the amendment before it.
            OpportunityEvent::Amended { standing: Standing::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. } => vec![],
        })
    }

    async fn apply(&self, changes: &[SearchChange]) -> Result<(), ProjectionError> {
        let wishes = fold(changes);
        let ids: Vec<&str> = wishes.keys().map(String::as_str).collect();
        let stored = self.stored(&ids).await.map_err(ProjectionError::unavailable)?;
        let (points, newly_awarded) = self.plan(wishes, stored).await?;
        self.upsert(points).await.map_err(ProjectionError::unavailable)?;
        self.mark_awarded(&newly_awarded).await.map_err(ProjectionError::unavailable)
    }

    async fn holds(&self, change: &SearchChange) -> Result<bool, QueryError> {
        let id = match change {
            SearchChange::Described(document) => document.payload.id.as_str(),
            SearchChange::Awarded { id } => id.as_str(),
        };
        let stored = self.stored(&[id]).await?;
        Ok(stored.get(id).is_some_and(|point| match change {
            SearchChange::Described(document) => point.payload.sequence >= document.payload.sequence,
            SearchChange::Awarded { .. } => point.payload.awarded,
        }))
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.migrate().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.run(self.client().delete_collection(self.collection())).await.map(drop)
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        PointFold::of(scope, self.embedder().model())
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.rows(scope).await
    }
}

impl Search {
    /// The points to write, and the opportunities whose points only have to be marked as awarded.
    async fn plan(
        &self,
        wishes: BTreeMap<String, Wish>,
        mut stored: HashMap<String, StoredPoint>,
    ) -> Result<(Vec<NewPoint>, Vec<String>), ProjectionError> {
        let (model, dimension) = (self.embedder().model(), self.embedder().dimension());
        let (mut points, mut to_embed, mut newly_awarded) = (vec![], vec![], vec![]);
        for (id, Wish { document, awarded }) in wishes {
            let known = stored.remove(&id);
            let fence = known.as_ref().map_or(0, |point| point.payload.sequence);
            let was_awarded = known.as_ref().is_some_and(|point| point.payload.awarded);
            let Some(mut document) = document.filter(|document| document.payload.sequence > fence) else {
                if awarded && !was_awarded {
                    newly_awarded.push(id);
                }
                continue;
            };
            document.payload.awarded = awarded || was_awarded;
            model.name.clone_into(&mut document.payload.model);
            model.version.clone_into(&mut document.payload.model_version);
            match known {
                Some(known) if known.payload.has_vector_of(&document, &model) && known.vector.len() == dimension => {
                    points.push(NewPoint { payload: document.payload, vector: known.vector });
                }
                _ => to_embed.push(*document),
            }
        }
        points.extend(self.embedded(to_embed).await?);
        Ok((points, newly_awarded))
    }

    async fn embedded(&self, documents: Vec<Document>) -> Result<Vec<NewPoint>, ProjectionError> {
        let (payloads, texts): (Vec<_>, Vec<_>) =
            documents.into_iter().map(|document| (document.payload, document.text)).unzip();
        let vectors = self.embedder().embed(&texts).await.map_err(ProjectionError::unavailable)?;
        Ok(payloads.into_iter().zip(vectors).map(|(payload, vector)| NewPoint { payload, vector }).collect())
    }

    async fn mark_awarded(&self, ids: &[String]) -> Result<(), QueryError> {
        let points: Vec<_> = ids.iter().map(|id| point_id(id)).collect();
        self.set_awarded(&points).await
    }
}

#[cfg(test)]
mod tests;
