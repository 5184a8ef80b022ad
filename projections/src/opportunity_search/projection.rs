//! The projection of events to points.

use std::{sync::Arc, time::Duration};

use domain::{
    context::BoundedContext,
    envelope::RawEnvelope,
    opportunity::{Opportunity, OpportunityContent, OpportunityEvent},
};

use super::{
    OpportunityDocument, OpportunitySearch, SearchUnit, desired_point::merge_changes, tenant_search::project_units,
    verify::PointFold,
};
use crate::{
    QueryError,
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope,
    },
};

/// A change of the search that an event causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchChange {
    /// The current details of an opportunity.
    Described(Box<OpportunityDocument>),
    /// An opportunity has an award.
    Awarded {
        /// Id of the opportunity.
        id: String,
    },
    /// A search unit of a tenant has another text, or was deleted.
    SearchUnit(Box<SearchUnit>),
    /// The text of a document was extracted; the unit stands for the whole text.
    DocumentText(Box<SearchUnit>),
}

impl Projection for OpportunitySearch {
    const NAME: &'static str = "search";

    const STORE: &'static str = "qdrant";

    /// The points of an event are those of its stream.
    const CONCURRENT_WRITES: usize = 2;

    type Change = SearchChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[
            BoundedContext::Opportunities,
            BoundedContext::Proposals,
            BoundedContext::Documents,
            BoundedContext::Resources,
        ]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(50), rebuild_events: 3_000 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        self.with_generation(generation)
    }

    fn with_copy_source(&self, source: ReadModelGeneration) -> Self {
        self.with_copy_source(source)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<SearchChange>, ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            let to_change = |unit: SearchUnit| {
                let (is_whole_text, unit) = (unit.is_whole_text(), Box::new(unit));
                if is_whole_text { SearchChange::DocumentText(unit) } else { SearchChange::SearchUnit(unit) }
            };
            return Ok(project_units(event)?.into_iter().map(to_change).collect());
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
        let change = payload.into_content().map(|content| match content {
            OpportunityContent::CurrentNotice { filing, details } => SearchChange::Described(Box::new(
                OpportunityDocument::from_event(event, &filing, Arc::unwrap_or_clone(details)),
            )),
            OpportunityContent::Award { .. } => SearchChange::Awarded { id: event.aggregate_id.clone() },
        });
        Ok(change.into_iter().collect())
    }

    async fn apply(&self, changes: &[SearchChange]) -> Result<(), ProjectionError> {
        let desired = merge_changes(changes);
        if !desired.is_empty() {
            self.write_desired(desired).await?;
        }
        let units = changes.iter().filter_map(|change| match change {
            SearchChange::SearchUnit(unit) => Some(&**unit),
            SearchChange::Described(_) | SearchChange::Awarded { .. } | SearchChange::DocumentText(_) => None,
        });
        let units: Vec<_> = units.collect();
        self.write_units(&units).await?;
        self.remove_deleted_texts(&units).await?;
        // After the units, so that texts of documents that the same batch deletes are not read. One at a time, so that
        // one text is in memory.
        for change in changes {
            if let SearchChange::DocumentText(whole) = change {
                self.write_document_text(whole).await?;
            }
        }
        Ok(())
    }

    async fn is_applied(&self, change: &SearchChange) -> Result<bool, QueryError> {
        let id = match change {
            SearchChange::Described(document) => document.payload.id.as_str(),
            SearchChange::Awarded { id } => id.as_str(),
            SearchChange::SearchUnit(unit) | SearchChange::DocumentText(unit) => return self.contains_unit(unit).await,
        };
        let stored = self.load_stored_points(&[id]).await?;
        Ok(stored.get(id).is_some_and(|stored| match change {
            SearchChange::Described(document) => stored.sequence >= document.payload.sequence,
            SearchChange::Awarded { .. } => stored.awarded,
            SearchChange::SearchUnit(_) | SearchChange::DocumentText(_) => false,
        }))
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.migrate().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.qdrant().run_request(self.client().delete_collection(self.collection())).await?;
        self.qdrant().run_request(self.client().delete_collection(self.tenant_collection())).await.map(drop)
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        PointFold::new_boxed(scope, self.embedder().model())
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        self.scan_rows(scope).await
    }
}

#[cfg(test)]
mod tests;
