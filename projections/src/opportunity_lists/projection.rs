//! The projection of events to lists.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{
    OpportunityLists,
    list_change::ListChange,
    verify::{ListStreamFold, ListTotalsFold},
};
use crate::{
    QueryError,
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope,
    },
};

/// The scripts that make the schema of a generation. A released one is never changed.
const SCHEMA_SCRIPTS: [&str; 2] = [
    include_str!("../../../migrations/lists/0001_opportunity_lists.sql"),
    include_str!("../../../migrations/lists/0002_fast_filling_and_more_counters.sql"),
];

impl Projection for OpportunityLists {
    const NAME: &'static str = "lists";

    type Change = ListChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Opportunities]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 2_000, linger: Duration::from_millis(5), rebuild_events: 10_000 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        self.with_generation(generation)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<ListChange>, ProjectionError> {
        Ok(ListChange::from_event(event)?.into_iter().collect())
    }

    async fn apply(&self, changes: &[ListChange]) -> Result<(), ProjectionError> {
        self.write_changes(changes).await
    }

    async fn is_applied(&self, change: &ListChange) -> Result<bool, QueryError> {
        self.contains_change(change).await
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.client.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        let Some(mut transaction) = self.client.migrate_schema(&SCHEMA_SCRIPTS).await? else { return Ok(()) };
        let failed = |error| self.client.query_error(error);
        self.count_counters(&mut transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)
    }

    async fn begin_fill(&self) -> Result<(), QueryError> {
        self.prepare().await?;
        self.defer_indexes().await
    }

    async fn end_fill(&self) -> Result<(), QueryError> {
        self.complete_generation().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.client.drop_schema().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        match scope {
            VerifyScope::Buckets(_) => Box::new(ListStreamFold::new(scope.clone())),
            VerifyScope::Totals => Box::<ListTotalsFold>::default(),
        }
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        match scope {
            VerifyScope::Buckets(buckets) => self.stream_rows(buckets).await,
            VerifyScope::Totals => self.counter_rows().await,
        }
    }
}
