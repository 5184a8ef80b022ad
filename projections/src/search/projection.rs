//! What the log's events become in `Qdrant`.

use std::time::Duration;

use domain::{
    context::Context,
    envelope::RawRecorded,
    opportunity::{Opportunity, OpportunityEvent, Standing},
};

use super::{Document, Search, Unit, compare::PointFold, fold::fold, owned::units};
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
    /// Something that a tenant owns says something else.
    Owned(Box<Unit>),
}

impl Projection for Search {
    const NAME: &'static str = "search";

    type Change = SearchChange;

    fn subscribes() -> &'static [Context] {
        &[Context::Opportunities, Context::Proposals, Context::Documents, Context::Resources]
    }

    fn pace() -> Pace {
        Pace { batch_events: 1_000, linger: Duration::from_millis(30), rebuild_events: 2_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn beside(&self, live: Generation) -> Self {
        self.beside(live)
    }

    fn project(event: &RawRecorded) -> Result<Vec<SearchChange>, ProjectionError> {
        if event.aggregate_type != <Opportunity as cqrs_es::Aggregate>::TYPE {
            return Ok(units(event)?.into_iter().map(|unit| SearchChange::Owned(Box::new(unit))).collect());
        }
        let payload = event.decode::<OpportunityEvent>().map_err(ProjectionError::poison)?;
        Ok(match payload {
            OpportunityEvent::Discovered { filing, facts }
            | OpportunityEvent::Amended { filing, standing: Standing::Current, facts } => {
                vec![SearchChange::Described(Box::new(Document::of(event, &filing, *facts)))]
            }
            OpportunityEvent::Awarded { .. } => vec![SearchChange::Awarded { id: event.aggregate_id.clone() }],
            // An earlier notice changes no current fact; a new deadline is part of the amendment before it.
            OpportunityEvent::Amended { standing: Standing::Earlier, .. }
            | OpportunityEvent::DeadlineChanged { .. }
            | OpportunityEvent::Cancelled { .. }
            | OpportunityEvent::Archived { .. } => vec![],
        })
    }

    async fn apply(&self, changes: &[SearchChange]) -> Result<(), ProjectionError> {
        let wishes = fold(changes);
        if !wishes.is_empty() {
            self.fulfil(wishes).await?;
        }
        let units = changes.iter().filter_map(|change| match change {
            SearchChange::Owned(unit) => Some(&**unit),
            SearchChange::Described(_) | SearchChange::Awarded { .. } => None,
        });
        self.write_units(&units.collect::<Vec<_>>()).await
    }

    async fn holds(&self, change: &SearchChange) -> Result<bool, QueryError> {
        let id = match change {
            SearchChange::Described(document) => document.payload.id.as_str(),
            SearchChange::Awarded { id } => id.as_str(),
            SearchChange::Owned(unit) => return self.holds_unit(unit).await,
        };
        let known = self.known(&[id]).await?;
        Ok(known.get(id).is_some_and(|known| match change {
            SearchChange::Described(document) => known.sequence >= document.payload.sequence,
            SearchChange::Awarded { .. } => known.awarded,
            SearchChange::Owned(_) => false,
        }))
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.migrate().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.run(self.client().delete_collection(self.collection())).await?;
        self.run(self.client().delete_collection(self.owned())).await.map(drop)
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        PointFold::of(scope, self.embedder().model())
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.rows(scope).await
    }
}

#[cfg(test)]
mod tests;
