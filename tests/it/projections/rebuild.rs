//! Rebuilding beside the active generation, verification, switching and rolling back.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use domain::envelope::RawEnvelope;
use eventstore::relay::{Relay, RelayConfig};
use projections::{
    opportunity_views::{KeyShard, OpportunityViews},
    runtime::{
        AnyProjection, DifferenceKind, Projection, ReadModelGeneration, RebuildError, RebuildOptions, RebuildProgress,
        RebuildReport, Supervisor, VerifyOptions, VerifyProgress,
    },
};
use schemas::catalog;
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{JoinHandle, block_in_place},
};
use tokio_util::sync::CancellationToken;

use super::{id, projection_fixture::ProjectionFixture};
use tests::{
    eventually,
    opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history},
};

/// A relay and workers on a field, as a service would run them.
pub(super) struct ProjectionService {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl ProjectionService {
    pub(super) async fn start(field: &ProjectionFixture, projections: &[Arc<dyn AnyProjection>]) -> Self {
        let stop = CancellationToken::new();
        for projection in projections {
            projection.prepare().await.unwrap();
        }
        field.runtime.register_projections(projections).await.unwrap();
        let registry = tests::registry().await;
        let (pool, topics) = (field.pool.clone(), field.topics.clone());
        let relay = Relay::new(pool, topics, registry, catalog::all_schemas(), RelayConfig::default());
        let supervisor = Supervisor::new(field.runtime.clone(), projections.to_vec());
        let (relay_stop, workers_stop) = (stop.clone(), stop.clone());
        let tasks = vec![
            tokio::spawn(async move { relay.run(relay_stop).await }),
            tokio::spawn(async move { supervisor.run(workers_stop).await.unwrap() }),
        ];
        Self { stop, tasks }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

pub(super) async fn field() -> ProjectionFixture {
    ProjectionFixture::with(tests::registry().await, |_| {}).await
}

async fn rebuild(
    field: &ProjectionFixture,
    projections: &[Arc<dyn AnyProjection>],
) -> Result<RebuildReport, RebuildError> {
    let progress = watch::Sender::new(RebuildProgress::default());
    let options = RebuildOptions { started_by: "a test".to_owned(), ..RebuildOptions::default() };
    field.runtime.rebuild(projections, &options, &progress, &CancellationToken::new()).await
}

/// Waits until a generation has taken in the whole log.
async fn current(field: &ProjectionFixture, projection: &Arc<dyn AnyProjection>, generation: ReadModelGeneration) {
    let end = field.runtime.log().load_fence().await.unwrap();
    eventually(async || {
        let position = field.runtime.load_applied_position(projection.as_ref(), generation).await.unwrap();
        if position >= end { Ok(()) } else { Err(format!("{position} of {end}")) }
    })
    .await;
}

fn g(number: i32) -> ReadModelGeneration {
    ReadModelGeneration::try_new(number).unwrap()
}

/// A service whose views have taken in the recorded history.
async fn start_views_of_history()
-> (ProjectionFixture, OpportunityViews, Vec<Arc<dyn AnyProjection>>, ProjectionService) {
    let (field, views) = (field().await, tests::views().await);
    let all: Vec<Arc<dyn AnyProjection>> = vec![Arc::new(views.clone())];
    let service = ProjectionService::start(&field, &all).await;
    field.record(&history()).await;
    current(&field, &all[0], g(1)).await;
    (field, views, all, service)
}

#[tokio::test]
async fn all_read_models_are_rebuilt_together_and_switched_by_one_pointer() {
    let (field, events) = (field().await, history());
    let (analytics, search, views) = (tests::analytics().await, tests::search().await, tests::views().await);
    let all: Vec<Arc<dyn AnyProjection>> =
        vec![Arc::new(analytics.clone()), Arc::new(search.clone()), Arc::new(views.clone())];
    let service = ProjectionService::start(&field, &all).await;
    let (early, late) = events.split_at(4);
    field.record(early).await;
    for projection in &all {
        current(&field, projection, g(1)).await;
    }
    let before = field.runtime.control().load_pointer().await.unwrap();

    let report = rebuild(&field, &all).await.unwrap();

    let after = field.runtime.control().load_pointer().await.unwrap();
    assert_eq!(after.version, before.version + 1, "one move for all");
    assert!(after.generations.values().all(|generation| *generation == g(2)), "{after:?}");
    assert!(report.retained.values().all(|generation| *generation == g(1)), "{report:?}");
    assert!(report.verified.iter().all(|verification| verification.rows > 0), "{:?}", report.verified);
    // Both generations go on: the new one for readers, the old one for a rollback.
    field.record(late).await;
    for projection in &all {
        for generation in [g(1), g(2)] {
            current(&field, projection, generation).await;
            let mut reports = vec![];
            for pass_events in [VerifyOptions::default().pass_events, 1] {
                let options = VerifyOptions { pass_events, ..VerifyOptions::default() };
                let found = field.runtime.verify(projection.as_ref(), generation, options, |_| {}).await.unwrap();
                assert!(found.is_clean(), "{} {generation}: {:?}", projection.name(), found.differences);
                reports.push(found);
            }
            assert_eq!(reports[0], reports[1], "in many passes it compares the same, and reads the log once");
        }
    }
    assert_eq!(Projection::with_generation(&analytics, g(2)).count_events().await.unwrap(), events.len() as u64);
    assert_eq!(Projection::with_generation(&search, g(2)).count_opportunities().await.unwrap(), 3);
    for stream in [WHEELCHAIRS, SHIP, VALVES].map(id) {
        let (old, new) =
            (views.get(&stream).await.unwrap(), Projection::with_generation(&views, g(2)).get(&stream).await.unwrap());
        assert_eq!(old, new);
    }

    let back = field.runtime.rollback(&all).await.unwrap();
    assert!(back.generations.values().all(|generation| *generation == g(1)), "{back:?}");
    let forward = field.runtime.rollback(&all).await.unwrap();
    assert!(forward.generations.values().all(|generation| *generation == g(2)), "{forward:?}");

    let again = rebuild(&field, &all).await.unwrap();
    assert!(again.active.values().all(|generation| *generation == g(3)), "{again:?}");
    assert_eq!(again.dropped.len(), 3, "two generations of each are kept: {again:?}");
    service.stop().await;
}

/// A store that is scanned once is older than the events that are compared: what differs is read again.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_arrive_during_a_verification_are_compared_and_differences_are_found() {
    let (field, views, all, service) = start_views_of_history().await;
    let discovered = |id: String| RawEnvelope { aggregate_id: id, ..history().remove(0) };
    let let_arrive = |id: String| {
        let arriving = async {
            field.record(&[discovered(id)]).await;
            current(&field, &all[0], g(1)).await;
        };
        block_in_place(|| Handle::current().block_on(arriving));
    };
    let is_scanning = |progress: VerifyProgress| progress.position == 0 && progress.rows > 0;
    let options = VerifyOptions { pass_events: 1, ..VerifyOptions::default() };
    let verify = async |progress: &(dyn Fn(VerifyProgress) + Send + Sync)| {
        field.runtime.verify(all[0].as_ref(), g(1), options, progress).await.unwrap()
    };

    // At every report of the scan, so that the last one comes after all rows were read.
    let arrived = AtomicUsize::new(0);
    let report = verify(&|progress| {
        if is_scanning(progress) {
            let_arrive(format!("097:ARRIVAL{}", arrived.fetch_add(1, Ordering::Relaxed)));
        }
    })
    .await;
    assert!(arrived.load(Ordering::Relaxed) > 1, "reported after the last row, too");
    assert!(report.is_clean(), "{:?}", report.differences);

    // A stream that the log does not have: its state, and its figures in the counters of its shard. One that arrives in the
    // same shard during the scan makes of these what they should be.
    super::apply(&views, &[discovered("097:INVENTED".to_owned())]).await;
    let shard = KeyShard::for_id("097:INVENTED");
    let late = (0..10_000).map(|n| format!("097:LATE{n}")).find(|id| KeyShard::for_id(id) == shard).unwrap();
    arrived.store(0, Ordering::Relaxed);
    let report = verify(&|progress| {
        if is_scanning(progress) && arrived.fetch_add(1, Ordering::Relaxed) == 0 {
            let_arrive(late.clone());
        }
    })
    .await;
    let found: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    assert!(found.contains(&"opportunity 097:INVENTED unexpected".to_owned()), "{found:?}");
    let of_shard = format!("figures {{{shard}}}:counters:opportunities ");
    assert_eq!(found.iter().filter(|difference| difference.starts_with(&of_shard)).count(), 4, "{found:?}");
    assert_eq!(report.difference_count, 5, "{found:?}");
    service.stop().await;
}

#[tokio::test]
async fn an_interrupted_rebuild_continues_and_is_reported_to_others() {
    let (field, _views, all, service) = start_views_of_history().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let progress = watch::Sender::new(RebuildProgress::default());

    let options = RebuildOptions::default();
    let cut_off = field.runtime.rebuild(&all, &options, &progress, &stop).await;

    assert!(matches!(cut_off, Err(RebuildError::Interrupted)), "{cut_off:?}");
    let other: Vec<Arc<dyn AnyProjection>> = vec![Arc::new(tests::search().await)];
    let refused = rebuild(&field, &other).await;
    assert!(matches!(refused, Err(RebuildError::Unfinished { .. })), "{refused:?}");
    let report = rebuild(&field, &all).await.unwrap();
    assert!(report.continued);
    assert_eq!(report.active["views"], g(2));
    service.stop().await;
}

#[tokio::test]
async fn a_rebuild_can_be_given_up_and_the_live_generation_cannot_be_dropped() {
    let (field, views, all, service) = start_views_of_history().await;
    let nothing = field.runtime.rollback(&all).await;
    assert!(matches!(nothing, Err(RebuildError::NothingRetained { .. })), "{nothing:?}");
    let stop = CancellationToken::new();
    stop.cancel();
    let progress = watch::Sender::new(RebuildProgress::default());
    drop(field.runtime.rebuild(&all, &RebuildOptions::default(), &progress, &stop).await);

    assert!(field.runtime.abandon_rebuild(&all).await.unwrap().is_some());
    assert_eq!(field.runtime.abandon_rebuild(&all).await.unwrap(), None);

    let generations: Vec<_> = field.runtime.control().load_generations().await.unwrap();
    assert_eq!(generations.iter().map(|build| build.generation).collect::<Vec<_>>(), [g(1)]);
    let outcome = field.runtime.drop_generation(&all[0], g(1)).await;
    assert!(matches!(outcome, Err(RebuildError::IsActive { .. })), "{outcome:?}");
    // Numbers are never used again.
    assert_eq!(rebuild(&field, &all).await.unwrap().active["views"], g(3));
    field.runtime.drop_generation(&all[0], g(1)).await.unwrap();
    assert_eq!(views.get(&id(SHIP)).await.unwrap(), None, "what was dropped is gone from the store");
    service.stop().await;
}

#[tokio::test]
async fn a_rebuild_appends_nothing_and_publishes_nothing() {
    let (field, _views, all, service) = start_views_of_history().await;
    let events = async || eventstore::count::count_log(&field.pool).await.unwrap().events;
    let records = async || eventstore::count::count_published(&field.topics).await.unwrap();
    let before = (events().await, records().await);

    rebuild(&field, &all).await.unwrap();

    assert_eq!((events().await, records().await), before);
    service.stop().await;
}

#[tokio::test]
async fn a_generation_that_is_not_what_the_log_says_is_never_switched_to() {
    let (field, views, all, service) = start_views_of_history().await;
    // Something else writes where the next generation will be.
    let next = Projection::with_generation(&views, g(2));
    Projection::prepare(&next).await.unwrap();
    let stray = RawEnvelope { aggregate_id: "036:STRAY".to_owned(), ..history().remove(0) };
    super::apply(&next, &[stray]).await;

    let outcome = rebuild(&field, &all).await;

    let Err(RebuildError::Differs { verification }) = outcome else { panic!("{outcome:?}") };
    let named = verification.differences.iter().find(|difference| difference.key.contains("036:STRAY")).unwrap();
    assert_eq!(named.kind, DifferenceKind::Unexpected);
    assert_eq!(field.runtime.control().load_pointer().await.unwrap().active_generation("views"), g(1));
    service.stop().await;
}
