//! Feeds events to a process, as a forwarding projection.

use std::{marker::PhantomData, time::Duration};

use domain::{context::BoundedContext, envelope::RawEnvelope};
use projections::{
    QueryError,
    runtime::{BatchLimits, FetchStrategy, ForwardingProjection, ProjectionError, is_rejected_value},
};
use telemetry::StoredTraceContext;
use uuid::Uuid;

use crate::{InstanceSelector, InstanceStore, InstanceStoreError, Process, instance_store::InputCause};

/// Feeds events to the process `P`.
pub struct ProcessProjection<P> {
    store: InstanceStore,
    process: PhantomData<fn() -> P>,
}

impl<P> ProcessProjection<P> {
    /// Creates the projection; instances are stored in `store`.
    pub fn new(store: InstanceStore) -> Self {
        Self { store, process: PhantomData }
    }
}

impl<P> Clone for ProcessProjection<P> {
    fn clone(&self) -> Self {
        Self::new(self.store.clone())
    }
}

/// An event that a process reacts to.
pub struct ProcessEvent<E> {
    pub(crate) selector: InstanceSelector,
    pub(crate) tenant_id: String,
    pub(crate) aggregate_type: String,
    pub(crate) aggregate_id: String,
    pub(crate) sequence: u64,
    pub(crate) event: E,
    pub(crate) cause: InputCause,
}

impl<E> ProcessEvent<E> {
    fn new(envelope: &RawEnvelope, selector: InstanceSelector, event: E) -> Self {
        // Events of early releases have no correlation id; their own id then correlates what they cause.
        let correlation_id = Uuid::parse_str(&envelope.metadata.correlation_id).unwrap_or(envelope.event_id);
        Self {
            selector,
            tenant_id: envelope.tenant_id.clone(),
            aggregate_type: envelope.aggregate_type.clone(),
            aggregate_id: envelope.aggregate_id.clone(),
            sequence: envelope.sequence,
            event,
            cause: InputCause {
                id: envelope.event_id,
                causation_id: envelope.event_id,
                correlation_id,
                trace: StoredTraceContext::parse(&envelope.metadata.traceparent),
            },
        }
    }
}

impl<P: Process> ForwardingProjection for ProcessProjection<P> {
    const NAME: &'static str = P::NAME;

    const FETCH_STRATEGY: FetchStrategy = FetchStrategy::AtOnce;

    type Change = ProcessEvent<P::Event>;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        P::subscribed_contexts()
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 500, linger: Duration::from_millis(2), rebuild_events: 500 }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<Self::Change>, ProjectionError> {
        let interpreted = P::interpret(event).map_err(ProjectionError::poison)?;
        Ok(interpreted.map(|(selector, found)| ProcessEvent::new(event, selector, found)).into_iter().collect())
    }

    async fn apply(&self, changes: &[Self::Change]) -> Result<(), ProjectionError> {
        self.store.handle_events::<P>(changes).await.map_err(|error| match error {
            InstanceStoreError::UnreadableState { .. } | InstanceStoreError::UnreadableCommand { .. } => {
                ProjectionError::rejected(error)
            }
            InstanceStoreError::Postgres { ref source, .. } if is_rejected_value(source) => {
                ProjectionError::rejected(error)
            }
            InstanceStoreError::Postgres { .. }
            | InstanceStoreError::NoInstance { .. }
            | InstanceStoreError::NotOpen { .. } => ProjectionError::unavailable(error),
        })
    }

    async fn is_applied(&self, change: &Self::Change) -> Result<bool, QueryError> {
        self.store.has_handled::<P>(change).await.map_err(QueryError::postgres)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.store.ping().await.map_err(QueryError::postgres)
    }
}
