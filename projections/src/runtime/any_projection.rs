//! A type-erased projection, so that the runtime treats all of them alike.

use std::{any::Any, sync::Arc};

use domain::{context::BoundedContext, envelope::RawEnvelope};
use futures::{FutureExt, future::BoxFuture};

use super::{
    BatchLimits, FetchStrategy, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, RowScan,
    ScopeSelection, VerifyScope,
};
use crate::QueryError;

/// One generation of one projection, type-erased. Implemented for every [`Projection`].
pub trait AnyProjection: Send + Sync {
    /// See [`Projection::NAME`].
    fn name(&self) -> &'static str;
    /// See [`Projection::HAS_READ_MODEL`].
    fn has_read_model(&self) -> bool;
    /// See [`Projection::subscribed_contexts`].
    fn subscribed_contexts(&self) -> &'static [BoundedContext];
    /// See [`Projection::batch_limits`].
    fn batch_limits(&self) -> BatchLimits;
    /// See [`Projection::FETCH_STRATEGY`].
    fn fetch_strategy(&self) -> FetchStrategy;
    /// See [`Projection::READS_PAYLOADS`].
    fn reads_payloads(&self) -> bool;
    /// See [`Projection::CONCURRENT_WRITES`].
    fn concurrent_writes(&self) -> usize;
    /// See [`Projection::STORE`].
    fn store(&self) -> &'static str;
    /// See [`Projection::with_generation`].
    fn with_generation(&self, generation: ReadModelGeneration) -> Arc<dyn AnyProjection>;
    /// See [`Projection::with_copy_source`].
    fn with_copy_source(&self, active: ReadModelGeneration) -> Arc<dyn AnyProjection>;
    /// Turns events into changes, and collects the errors of those that have none. See [`Projection::project`].
    fn project(&self, events: &[&RawEnvelope]) -> ProjectedChanges;
    /// See [`Projection::apply`].
    fn apply<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<(), ProjectionError>>;
    /// See [`Projection::skip_event`].
    fn skip_event<'a>(&'a self, event: &'a RawEnvelope) -> BoxFuture<'a, Result<(), ProjectionError>>;
    /// Whether the store returns the last of these changes. See [`Projection::is_applied`].
    fn is_applied<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<bool, QueryError>>;
    /// See [`Projection::ping`].
    fn ping(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::prepare`].
    fn prepare(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::begin_fill`].
    fn begin_fill(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::end_fill`].
    fn end_fill(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::discard`].
    fn discard(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::switch_direct_readers`].
    fn switch_direct_readers(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::fold`].
    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold>;
    /// See [`Projection::read_back`].
    fn read_back<'a>(&'a self, scope: &'a VerifyScope) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>>;
    /// See [`Projection::scan_store`].
    fn scan_store(&self, scopes: ScopeSelection) -> Option<Box<dyn RowScan>>;
}

/// The changes of a batch, and its events that could not be projected.
pub struct ProjectedChanges {
    changes: Box<dyn Any + Send + Sync>,
    /// The events that could not be projected: index in the batch, ascending, and error.
    pub(super) poison: Vec<(usize, ProjectionError)>,
    /// Whether there are no changes.
    pub(super) is_empty: bool,
}

impl ProjectedChanges {
    fn changes<P: Projection>(&self) -> &[P::Change] {
        // The same projection has made them. Changes of another one would be a defect, and count as none.
        self.changes.downcast_ref::<Vec<P::Change>>().map_or(&[], Vec::as_slice)
    }
}

impl<P: Projection> AnyProjection for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn has_read_model(&self) -> bool {
        P::HAS_READ_MODEL
    }

    fn subscribed_contexts(&self) -> &'static [BoundedContext] {
        P::subscribed_contexts()
    }

    fn batch_limits(&self) -> BatchLimits {
        P::batch_limits()
    }

    fn fetch_strategy(&self) -> FetchStrategy {
        P::FETCH_STRATEGY
    }

    fn reads_payloads(&self) -> bool {
        P::READS_PAYLOADS
    }

    fn concurrent_writes(&self) -> usize {
        P::CONCURRENT_WRITES
    }

    fn store(&self) -> &'static str {
        P::STORE
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Arc<dyn AnyProjection> {
        Arc::new(Projection::with_generation(self, generation))
    }

    fn with_copy_source(&self, active: ReadModelGeneration) -> Arc<dyn AnyProjection> {
        Arc::new(Projection::with_copy_source(self, active))
    }

    fn project(&self, events: &[&RawEnvelope]) -> ProjectedChanges {
        let (mut changes, mut poison) = (Vec::with_capacity(events.len() * 2), Vec::new());
        for (index, event) in events.iter().enumerate() {
            match P::project(event) {
                Ok(more) => changes.extend(more),
                Err(error) => poison.push((index, error)),
            }
        }
        let is_empty = changes.is_empty();
        ProjectedChanges { changes: Box::new(changes), poison, is_empty }
    }

    fn apply<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<(), ProjectionError>> {
        Projection::apply(self, projected.changes::<P>()).boxed()
    }

    fn skip_event<'a>(&'a self, event: &'a RawEnvelope) -> BoxFuture<'a, Result<(), ProjectionError>> {
        Projection::skip_event(self, event).boxed()
    }

    fn is_applied<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<bool, QueryError>> {
        async move {
            match projected.changes::<P>().last() {
                Some(change) => Projection::is_applied(self, change).await,
                None => Ok(true),
            }
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::ping(self).boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::prepare(self).boxed()
    }

    fn begin_fill(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::begin_fill(self).boxed()
    }

    fn end_fill(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::end_fill(self).boxed()
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::discard(self).boxed()
    }

    fn switch_direct_readers(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::switch_direct_readers(self).boxed()
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Projection::fold(self, scope)
    }

    fn read_back<'a>(&'a self, scope: &'a VerifyScope) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>> {
        Projection::read_back(self, scope).boxed()
    }
    fn scan_store(&self, scopes: ScopeSelection) -> Option<Box<dyn RowScan>> {
        Projection::scan_store(self, scopes)
    }
}
