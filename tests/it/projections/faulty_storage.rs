//! Sinks that refuse, are full, or lie: real ones, with a fault put between them and the runtime.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use domain::{context::BoundedContext, envelope::RawEnvelope};
use projections::{
    QueryError,
    opportunity_views::{OpportunityViews, ViewChange},
    runtime::{
        BatchLimits, Projection, ProjectionError, ReadModelFold, ReadModelGeneration, ReadModelRow, VerifyScope,
        WorkerState,
    },
};

use super::{
    id,
    projection_fixture::{ProjectionFixture, unreachable_registry},
};
use tests::{
    eventually,
    opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history},
};

const SOUND: u8 = 0;
const REFUSES_SHIPS: u8 = 1;
const FULL: u8 = 2;
const LIES: u8 = 3;

/// Views behind a fault.
#[derive(Clone)]
struct FaultyViews {
    inner: OpportunityViews,
    fault: Arc<AtomicU8>,
}

impl FaultyViews {
    async fn with(fault: u8) -> Self {
        Self { inner: tests::views().await, fault: Arc::new(AtomicU8::new(fault)) }
    }

    fn set(&self, fault: u8) {
        self.fault.store(fault, Ordering::SeqCst);
    }
}

impl Projection for FaultyViews {
    const NAME: &'static str = "views";

    type Change = ViewChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        OpportunityViews::subscribed_contexts()
    }

    fn batch_limits() -> BatchLimits {
        OpportunityViews::batch_limits()
    }

    fn with_generation(&self, generation: ReadModelGeneration) -> Self {
        Self { inner: Projection::with_generation(&self.inner, generation), fault: Arc::clone(&self.fault) }
    }

    fn project(event: &RawEnvelope) -> Result<Vec<ViewChange>, ProjectionError> {
        OpportunityViews::project(event)
    }

    async fn apply(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        match self.fault.load(Ordering::SeqCst) {
            REFUSES_SHIPS if changes.iter().any(|change| change.id == SHIP) => {
                Err(ProjectionError::rejected("ships are not taken"))
            }
            FULL => Err(ProjectionError::unavailable("OOM command not allowed when used memory > 'maxmemory'")),
            LIES => Ok(()),
            _ => self.inner.apply(changes).await,
        }
    }

    async fn is_applied(&self, change: &ViewChange) -> Result<bool, QueryError> {
        let view = self.inner.get(&id(&change.id)).await?;
        Ok(view.is_some_and(|view| view.version >= change.sequence))
    }

    async fn ping(&self) -> Result<(), QueryError> {
        Projection::ping(&self.inner).await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.inner.prepare().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.inner.discard().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        self.inner.fold(scope)
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        self.inner.read_back(scope).await
    }
}

async fn version(sink: &FaultyViews, stream: &str) -> u64 {
    sink.inner.get(&id(stream)).await.unwrap().map_or(0, |view| view.version)
}

fn events_of(stream: &str) -> u64 {
    history().iter().filter(|event| event.aggregate_id == stream).count() as u64
}

#[tokio::test]
async fn a_rejected_event_is_found_in_its_batch_and_parked_and_the_rest_is_applied() {
    let (field, sink) = (ProjectionFixture::new().await, FaultyViews::with(REFUSES_SHIPS).await);
    field.publish(&history()).await;

    let worker = field.start(&sink).await;
    worker.parked(events_of(SHIP)).await;
    worker.applied(history().len() - usize::try_from(events_of(SHIP)).unwrap()).await;

    assert_eq!((version(&sink, WHEELCHAIRS).await, version(&sink, VALVES).await), (events_of(WHEELCHAIRS), 1));
    let parked = field.parked().await;
    assert_eq!((parked.len(), &*parked[0].stream.aggregate_id), (1, SHIP));
    assert!(parked[0].reason.contains("ships are not taken"), "{}", parked[0].reason);
    sink.set(SOUND);
    assert_eq!(field.runtime.redrive(&sink, &parked[0]).await.unwrap().blocked_by, None);
    assert_eq!(version(&sink, SHIP).await, events_of(SHIP));
    worker.stop().await;
}

#[tokio::test]
async fn a_store_that_is_full_is_paused_named_and_taken_up_again() {
    let field = ProjectionFixture::with(unreachable_registry(), |config| {
        (config.breaker_failures, config.retry_min_ms, config.retry_max_ms) = (2, 20, 50);
    })
    .await;
    let sink = FaultyViews::with(FULL).await;
    field.publish(&history()).await;

    let worker = field.start(&sink).await;
    worker.is(WorkerState::Paused).await;

    assert!(worker.status.get().last_error.unwrap().contains("OOM command not allowed"));
    assert_eq!((worker.status.get().applied, field.parked().await.len()), (0, 0));
    sink.set(SOUND);
    worker.applied(history().len()).await;
    worker.stop().await;
    assert_eq!(version(&sink, WHEELCHAIRS).await, events_of(WHEELCHAIRS));
}

#[tokio::test]
async fn a_store_that_acknowledges_what_it_does_not_keep_is_found_out() {
    let (field, sink) = (ProjectionFixture::new().await, FaultyViews::with(LIES).await);
    field.publish(&history()).await;

    let worker = field.start(&sink).await;

    eventually(async || {
        let error = worker.status.get().last_error.unwrap_or_default();
        if error.contains("does not return the last of them") { Ok(()) } else { Err(error) }
    })
    .await;
    assert_eq!(worker.status.get().applied, 0, "nothing counts as taken in");
    sink.set(SOUND);
    worker.applied(history().len()).await;
    worker.stop().await;
    assert_eq!(version(&sink, SHIP).await, events_of(SHIP));
}

/// The client library remembers that a partition was paused, also while another worker owns it.
#[tokio::test]
async fn partitions_that_were_paused_and_handed_over_are_consumed_when_they_come_back() {
    let field = ProjectionFixture::with(unreachable_registry(), |config| {
        (config.breaker_failures, config.retry_min_ms, config.retry_max_ms) = (2, 20, 50);
    })
    .await;
    let sink = FaultyViews::with(FULL).await;
    field.publish(&history()).await;
    let first = field.start(&sink).await;
    first.is(WorkerState::Paused).await;
    let all = first.status.get().partitions;
    let second = field.start(&sink).await;
    second.has_partitions(all / 2).await;
    first.has_partitions(all - all / 2).await;

    sink.set(SOUND);
    first.is(WorkerState::Running).await;
    second.stop().await;
    first.has_partitions(all).await;

    field.publish_watermark(99).await;
    field.reached_on_all_partitions("views", 99).await;
    first.stop().await;
}
