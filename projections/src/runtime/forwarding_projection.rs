//! Projections without their own read model.

use std::future::Future;

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{
    BatchLimits, FetchStrategy, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow,
    VerifyScope, comparison::EmptyFold,
};
use crate::QueryError;

/// Passes events on: publishes them, invalidates what depends on them, feeds a queue. Its effects cannot be repeated,
/// so it has one generation, begins with the events that are recorded after its registration, and is neither rebuilt
/// nor verified.
///
/// The members are described at [`Projection`], which every forwarding projection is.
pub trait ForwardingProjection: Clone + Send + Sync + 'static {
    /// See [`Projection::NAME`].
    const NAME: &'static str;

    /// See [`Projection::FETCH_STRATEGY`].
    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::Collect;

    /// See [`Projection::READS_PAYLOADS`].
    const READS_PAYLOADS: bool = true;

    /// See [`Projection::STORE`].
    const STORE: &'static str = "postgresql";

    /// What an event causes.
    type Change: Send + Sync + 'static;

    /// See [`Projection::subscribed_contexts`].
    fn subscribed_contexts() -> &'static [BoundedContext];

    /// See [`Projection::batch_limits`]; there is no rebuild.
    fn batch_limits() -> BatchLimits;

    /// See [`Projection::project`].
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when the event's payload has an unknown shape.
    fn project(event: &RawEnvelope) -> Result<Vec<Self::Change>, ProjectionError>;

    /// See [`Projection::apply`].
    ///
    /// # Errors
    /// As there.
    fn apply(&self, changes: &[Self::Change]) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// See [`Projection::is_applied`]. By default true, for a store that returns what it has acknowledged, or whose
    /// changes cannot be looked up.
    ///
    /// # Errors
    /// [`QueryError`] when the store does not answer.
    fn is_applied(&self, _change: &Self::Change) -> impl Future<Output = Result<bool, QueryError>> + Send {
        async { Ok(true) }
    }

    /// Checks that the store answers.
    ///
    /// # Errors
    /// [`QueryError`] when it does not.
    fn ping(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// See [`Projection::discard`]. By default keeps everything, for what is not derived from the log alone.
    ///
    /// # Errors
    /// [`QueryError`] when the store is unavailable or rejects the request.
    fn discard(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        async { Ok(()) }
    }
}

impl<T: ForwardingProjection> Projection for T {
    const NAME: &'static str = <T as ForwardingProjection>::NAME;

    const HAS_READ_MODEL: bool = false;

    const FETCH_STRATEGY: FetchStrategy = <T as ForwardingProjection>::FETCH_STRATEGY;

    const READS_PAYLOADS: bool = <T as ForwardingProjection>::READS_PAYLOADS;

    const STORE: &'static str = <T as ForwardingProjection>::STORE;

    type Change = <T as ForwardingProjection>::Change;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        <T as ForwardingProjection>::subscribed_contexts()
    }

    fn batch_limits() -> BatchLimits {
        <T as ForwardingProjection>::batch_limits()
    }

    fn with_generation(&self, _generation: ReadModelGeneration) -> Self {
        self.clone()
    }

    fn project(event: &RawEnvelope) -> Result<Vec<Self::Change>, ProjectionError> {
        <T as ForwardingProjection>::project(event)
    }

    fn apply(&self, changes: &[Self::Change]) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        ForwardingProjection::apply(self, changes)
    }

    fn is_applied(&self, change: &Self::Change) -> impl Future<Output = Result<bool, QueryError>> + Send {
        ForwardingProjection::is_applied(self, change)
    }

    fn ping(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        ForwardingProjection::ping(self)
    }

    fn prepare(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        ForwardingProjection::ping(self)
    }

    fn discard(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        ForwardingProjection::discard(self)
    }

    fn fold(&self, _scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Box::new(EmptyFold)
    }

    async fn read_back(&self, _scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        Ok(vec![])
    }
}
