//! The projection of events to changes of tenants' aggregates.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{
    READ_MODEL, queries::TenantViews, read_back::TenantViewRows, tenant_aggregate::AggregateDescriptor,
    tenant_view_change::TenantViewChange, verify::TenantViewFold,
};
use crate::{
    QueryError,
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, RowScan,
        ScopeSelection, VerifyScope,
    },
    storage::redis::StoreScan,
};

impl Projection for TenantViews {
    const NAME: &'static str = READ_MODEL;

    const STORE: &'static str = "redis";

    type Change = TenantViewChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[
            BoundedContext::Proposals,
            BoundedContext::Documents,
            BoundedContext::Resources,
            BoundedContext::Tasks,
            BoundedContext::System,
        ]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 1_000, linger: Duration::from_millis(5), rebuild_events: 5_000 }
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        self.with_generation(generation)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<TenantViewChange>, ProjectionError> {
        let Some(kind) = AggregateDescriptor::find(&event.aggregate_type) else { return Ok(vec![]) };
        (kind.check_event)(event)?;
        Ok(vec![TenantViewChange { kind, event: event.clone() }])
    }

    async fn apply(&self, changes: &[TenantViewChange]) -> Result<(), ProjectionError> {
        self.write_changes(changes).await
    }

    async fn skip_event(&self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        match AggregateDescriptor::find(&event.aggregate_type) {
            Some(kind) => self.skip_sequence(kind, event).await,
            None => Ok(()),
        }
    }

    async fn is_applied(&self, change: &TenantViewChange) -> Result<bool, QueryError> {
        let TenantViewChange { kind, event } = change;
        let key = self.stream_key(&event.tenant_id, kind.name, &event.aggregate_id);
        Ok(self.store.load_lowest_version(&[key]).await? >= event.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.store.client().ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.store.prepare().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.store.discard().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Box::new(TenantViewFold::new(scope.clone(), self.store.generation()))
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        StoreScan::new(TenantViewRows(self.clone()), ScopeSelection::new([scope])).collect_rows().await
    }

    fn scan_store(&self, scopes: ScopeSelection) -> Option<Box<dyn RowScan>> {
        Some(Box::new(StoreScan::new(TenantViewRows(self.clone()), scopes)))
    }
}
