//! Workers on a real Kafka: redelivery, records that are no events, sick stores, gaps, tokens.

use std::time::Duration;

use domain::{context::BoundedContext, envelope::RawEnvelope};
use projections::{
    opportunity_views::OpportunityViews,
    runtime::{ConsistencyStatus, ConsistencyToken, ReadModelGeneration, WorkerState},
    storage::redis::RedisConfig,
};
use rdkafka::message::{Header, OwnedHeaders};
use uuid::Uuid;

use super::projection_fixture::{ProjectionFixture, headers, unreachable_registry};
use tests::{
    WAIT_TIMEOUT, eventually,
    opportunity_history::{SHIP, VALVES, WHEELCHAIRS, history},
};

#[tokio::test]
async fn every_read_model_takes_in_what_the_topics_hold_however_often() {
    let (field, events) = (ProjectionFixture::new().await, history());
    let (analytics, search, views) = (tests::analytics().await, tests::search().await, tests::views().await);
    field.publish(&events).await;
    field.publish(&events).await;
    field.send("beacon", "", OwnedHeaders::new().insert(Header { key: "watermark", value: Some("99") })).await;

    let workers = [field.start(&analytics).await, field.start(&search).await, field.start(&views).await];
    for worker in workers {
        worker.applied(2 * events.len()).await;
        assert_eq!(worker.status.get().position, events.len() as u64);
        worker.stop().await;
    }

    assert_eq!(analytics.count_events().await.unwrap(), events.len() as u64);
    assert_eq!(analytics.count_opportunities().await.unwrap(), 3);
    assert_eq!((search.count_opportunities().await.unwrap(), views.count_views().await.unwrap()), (3, 3));
}

#[tokio::test]
async fn a_worker_goes_on_where_it_stopped() {
    let (field, events, views) = (ProjectionFixture::new().await, history(), tests::views().await);
    let (early, late) = events.split_at(3);
    field.publish(early).await;
    let first = field.start(&views).await;
    first.applied(early.len()).await;
    first.stop().await;

    field.publish(late).await;
    let second = field.start(&views).await;
    second.applied(late.len()).await;
    second.stop().await;

    assert_eq!(views.counters().await.unwrap().total, 3);
}

#[tokio::test]
async fn workers_of_one_group_share_the_work_and_take_over_from_each_other() {
    let (field, events, views) = (ProjectionFixture::new().await, history(), tests::views().await);
    let (one, two) = (field.start(&views).await, field.start(&views).await);
    let (early, late) = events.split_at(3);
    let version = |events: &[RawEnvelope]| events.iter().filter(|event| event.aggregate_id == WHEELCHAIRS).count();
    let reached = async |wanted: usize| {
        eventually(async || {
            let view = views.get(&super::id(WHEELCHAIRS)).await.unwrap();
            let found = view.map_or(0, |view| view.version);
            if found == wanted as u64 { Ok(()) } else { Err(format!("version {found}, not {wanted}")) }
        })
        .await;
    };

    field.publish(early).await;
    reached(version(early)).await;
    one.stop().await;
    field.publish(late).await;
    reached(version(&events)).await;
    eventually(async || {
        let total = views.counters().await.unwrap().total;
        if total == 3 { Ok(()) } else { Err(format!("{total} views")) }
    })
    .await;

    two.stop().await;
}

#[tokio::test]
async fn topics_may_appear_after_their_worker() {
    let field = ProjectionFixture::without_topics(unreachable_registry(), |_| {}).await;
    let (events, views) = (history(), tests::views().await);
    let worker = field.start(&views).await;
    eventstore::topic::ensure_topics(&field.topics).await.unwrap();
    field.publish(&events).await;

    worker.applied(events.len()).await;

    worker.stop().await;
    assert_eq!(views.count_views().await.unwrap(), 3);
}

#[tokio::test]
async fn a_store_that_is_away_delays_only_its_own_worker() {
    let (field, events, analytics) = (ProjectionFixture::new().await, history(), tests::analytics().await);
    let away = RedisConfig { url: "redis://127.0.0.1:1".to_owned(), ..tests::views_config().await };
    let away = OpportunityViews::new(&away).unwrap();

    let (sick, sound) = (field.start(&away).await, field.start(&analytics).await);
    field.publish(&events).await;

    sound.applied(events.len()).await;
    sick.is(WorkerState::Retrying).await;
    assert_eq!(sick.status.get().applied, 0);
    assert!(sick.status.get().last_error.unwrap().contains("store"));
    sick.stop().await;
    sound.stop().await;
}

#[tokio::test]
async fn avro_is_read_by_the_schema_it_was_written_with() {
    let registry = tests::registry().await;
    let (field, events, views) =
        (ProjectionFixture::with(registry.clone(), |_| {}).await, history(), tests::views().await);
    // JSON of an earlier version first, as on a topic that has grown.
    let (old, new) = events.split_at(2);
    field.publish(old).await;
    field.publish_avro(new, &registry).await;

    let worker = field.start(&views).await;
    worker.applied(events.len()).await;
    worker.stop().await;

    let replayed = tests::views().await;
    super::apply(&replayed, &events).await;
    for id in [WHEELCHAIRS, SHIP, VALVES].map(super::id) {
        assert_eq!(views.get(&id).await.unwrap(), replayed.get(&id).await.unwrap());
    }
}

#[tokio::test]
async fn a_registry_that_is_away_delays_and_skips_nothing() {
    let (field, events, views) = (ProjectionFixture::new().await, history(), tests::views().await);
    field.publish(&events[..1]).await;
    field.send(&events[1].aggregate_id, [0, 0, 0, 0, 7, 1], headers(&events[1])).await;

    let worker = field.start(&views).await;
    worker.is(WorkerState::Retrying).await;

    let status = worker.status.get();
    assert!(status.last_error.unwrap().contains("asking the schema registry"), "{:?}", worker.status.get());
    worker.stop().await;
    assert!(views.count_views().await.unwrap() <= 1);
}

#[tokio::test]
async fn an_unreadable_value_is_parked_and_named() {
    let (field, events, views) = (ProjectionFixture::new().await, history(), tests::views().await);
    field.send(&events[0].aggregate_id, b"no Avro", headers(&events[0])).await;

    let worker = field.start(&views).await;
    worker.parked(1).await;

    let reason = field.parked().await.remove(0).reason;
    let named = format!("decoding opportunity.discovered {} at position 1", events[0].event_version);
    assert!(reason.contains(&named), "{reason}");
    worker.stop().await;
    assert_eq!(views.count_views().await.unwrap(), 0);
}

#[tokio::test]
async fn events_that_kafka_does_not_have_are_read_from_the_log() {
    let (field, views) = (ProjectionFixture::new().await, tests::views().await);
    let recorded = field.record(&history()).await;
    // The topic lacks its first events, as if they had expired, and one in the middle.
    let of = |id: &str| recorded.iter().filter(|event| event.aggregate_id == id).cloned().collect::<Vec<_>>();
    let wheelchairs = of(WHEELCHAIRS);
    let numbered = field.numbered(&recorded);
    for (event, ordinal) in numbered {
        let known = event.aggregate_id == WHEELCHAIRS && ![1, 3].contains(&event.sequence);
        if known || event.aggregate_id != WHEELCHAIRS {
            field.publish_numbered(&event, ordinal).await;
        }
    }

    let worker = field.start(&views).await;

    eventually(async || {
        let version = views.get(&super::id(WHEELCHAIRS)).await.unwrap().map_or(0, |view| view.version);
        if version == wheelchairs.len() as u64 { Ok(()) } else { Err(format!("version {version}")) }
    })
    .await;
    // The store has a batch a moment before the worker counts it.
    eventually(async || match worker.status.get().healed {
        healed @ 0..2 => Err(format!("{healed} events came from the log")),
        _ => Ok(()),
    })
    .await;
    worker.stop().await;
    assert_eq!((views.count_views().await.unwrap(), field.parked().await.len()), (3, 0));
}

#[tokio::test]
async fn records_of_another_log_are_not_taken_in() {
    let (field, events, views) = (ProjectionFixture::new().await, history(), tests::views().await);
    let other = Uuid::new_v4().to_string();
    let foreign = headers(&events[0]).insert(Header { key: "incarnation", value: Some(&other) });
    field.send(&events[0].aggregate_id, &events[0].payload, foreign).await;

    let worker = field.start(&views).await;
    worker.is(WorkerState::Retrying).await;

    let error = worker.status.get().last_error.unwrap();
    assert!(error.contains("medhub rebuild views"), "{error}");
    worker.stop().await;
    assert_eq!(views.count_views().await.unwrap(), 0);
}

#[tokio::test]
async fn a_token_is_reached_once_its_event_is_in() {
    let (field, events, views) = (ProjectionFixture::new().await, history(), tests::views().await);
    let worker = field.start(&views).await;
    let token = ConsistencyToken {
        incarnation: field.runtime.log().incarnation().await.unwrap(),
        position: events.last().unwrap().position,
        stream: Some((BoundedContext::Opportunities, events.last().unwrap().aggregate_id.clone())),
    };
    let wait = async |patience| {
        field.runtime.wait_for_token(&views, ReadModelGeneration::FIRST, &token, patience).await.unwrap()
    };

    assert!(matches!(wait(Duration::from_millis(50)).await, ConsistencyStatus::NotYet { .. }));
    field.publish(&events).await;
    assert_eq!(wait(WAIT_TIMEOUT).await, ConsistencyStatus::Reached);

    let last = views.get(&super::id(&events.last().unwrap().aggregate_id)).await.unwrap().unwrap();
    assert_eq!(last.version, events.last().unwrap().sequence);
    let other = ConsistencyToken { incarnation: Uuid::new_v4(), ..token };
    let outcome = field.runtime.wait_for_token(&views, ReadModelGeneration::FIRST, &other, WAIT_TIMEOUT).await.unwrap();
    assert_eq!(outcome, ConsistencyStatus::OtherIncarnation);
    worker.stop().await;
}
