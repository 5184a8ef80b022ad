//! The projection of events to changes of views.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{OpportunityViews, ViewChange, read_back::ViewRows, verify, view_state::StateKind};
use crate::{
    QueryError,
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, RowScan,
        ScopeSelection, VerifyScope,
    },
    storage::redis::StoreScan,
};

impl Projection for OpportunityViews {
    const NAME: &'static str = "views";

    const STORE: &'static str = "redis";

    // Streams share figures only, to which the script adds.
    const CONCURRENT_WRITES: usize = 2;

    type Change = ViewChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Opportunities, BoundedContext::Analytics]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 2_000, linger: Duration::from_millis(2), rebuild_events: 15_000 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        self.with_generation(generation)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<ViewChange>, ProjectionError> {
        Ok(ViewChange::from_event(event)?.into_iter().collect())
    }

    async fn apply(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        self.write_changes(changes).await
    }

    async fn skip_event(&self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        match StateKind::from_aggregate_type(&event.aggregate_type) {
            Some(kind) => self.skip_sequence(kind, event).await,
            None => Ok(()),
        }
    }

    async fn is_applied(&self, change: &ViewChange) -> Result<bool, QueryError> {
        Ok(self.store.load_lowest_version(&self.state_keys(change)).await? >= change.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.store.prepare().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.store.discard().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        verify::new_fold(scope, self.store.generation(), self.retention, self.comparison_time())
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        StoreScan::new(ViewRows(self.clone()), ScopeSelection::new([scope])).collect_rows().await
    }

    fn scan_store(&self, scopes: ScopeSelection) -> Option<Box<dyn RowScan>> {
        Some(Box::new(StoreScan::new(ViewRows(self.clone()), scopes)))
    }
}

#[cfg(test)]
mod tests;
