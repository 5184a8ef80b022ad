//! Telling subscribers what has changed, over a real Redis.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use domain::envelope::RawEnvelope;
use projections::{
    change_feed::{ChangeFeed, ChangeNotification, FeedSubscription},
    runtime::{AnyProjection, Projection, ReadModelGeneration},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{apply, projection_fixture::ProjectionFixture, rebuild::ProjectionService};
use tests::{WAIT_TIMEOUT, opportunity_history::history};

/// How long nothing has to be heard until it counts as silence.
const SILENCE: Duration = Duration::from_millis(500);

async fn live() -> ChangeFeed {
    ChangeFeed::new(&tests::views_config().await).unwrap()
}

async fn next(subscription: &mut FeedSubscription) -> ChangeNotification {
    timeout(WAIT_TIMEOUT, subscription.next()).await.expect("a message").unwrap().expect("a connection")
}

/// The next changes, so many of them, after which there has to be silence.
async fn next_and_no_more(subscription: &mut FeedSubscription, changes: usize) -> Vec<ChangeNotification> {
    let mut heard = vec![];
    for _ in 0..changes {
        heard.push(next(subscription).await);
    }
    let more = timeout(SILENCE, subscription.next()).await;
    assert!(more.is_err(), "{more:?} after {heard:?}");
    heard
}

fn by_stream(changes: &[ChangeNotification]) -> BTreeMap<String, Vec<u64>> {
    let mut streams = BTreeMap::<_, Vec<_>>::new();
    for change in changes {
        streams.entry(change.aggregate_id.clone()).or_default().push(change.sequence);
    }
    streams
}

#[tokio::test]
async fn a_worker_publishes_each_event_once_in_stream_order_even_if_redelivered() {
    let (field, events, live) = (ProjectionFixture::new().await, history(), live().await);
    let mut subscription = live.subscribe().await.unwrap();
    // It reads no payloads, so that these are no poison for it.
    let unreadable = |event: &RawEnvelope| RawEnvelope { payload: "no payload".to_owned(), ..event.clone() };
    field.publish(&events.iter().map(unreadable).collect::<Vec<_>>()).await;
    field.publish(&events).await;

    let worker = field.start(&live).await;
    worker.applied(2 * events.len()).await;
    worker.stop().await;

    let heard = next_and_no_more(&mut subscription, events.len()).await;
    let mut wanted = BTreeMap::<_, Vec<_>>::new();
    for event in &events {
        wanted.entry(event.aggregate_id.clone()).or_default().push(event.sequence);
    }
    assert_eq!(by_stream(&heard), wanted);
    assert!(heard.iter().all(|change| change.tenant_id == "public" && change.aggregate_type == "opportunity"));
}

#[tokio::test]
async fn a_published_event_counts_as_applied_and_foreign_messages_do_no_harm() {
    let (events, live) = (history(), live().await);
    let mut subscription = live.subscribe().await.unwrap();
    let change = <ChangeFeed as Projection>::project(&events[0]).unwrap().remove(0);
    assert!(!Projection::is_applied(&live, &change).await.unwrap());

    apply(&live, &events[..1]).await;
    let config = tests::views_config().await;
    let mut stranger = redis::Client::open(config.url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let channel = format!("{}public:opportunities", live.channel_prefix());
    redis::cmd("PUBLISH").arg(channel).arg("no JSON").exec_async(&mut stranger).await.unwrap();
    apply(&live, &events[1..2]).await;

    assert!(Projection::is_applied(&live, &change).await.unwrap());
    assert_eq!(next(&mut subscription).await.event_id, events[0].event_id);
    subscription.next().await.expect_err("what is no message of ours is said to be none");
    assert_eq!(next(&mut subscription).await.event_id, events[1].event_id);
}

#[tokio::test]
async fn only_events_after_the_registration_are_published() {
    let field = super::rebuild::field().await;
    let (live, events) = (live().await, history());
    let mut subscription = live.subscribe().await.unwrap();
    let (early, late) = events.split_at(4);
    field.record(early).await;
    let all: Vec<Arc<dyn AnyProjection>> = vec![Arc::new(live.clone())];
    field.runtime.register_projections(&all).await.unwrap();
    let service = ProjectionService::start(&field, &all).await;

    field.record(late).await;
    let heard = next_and_no_more(&mut subscription, late.len()).await;
    field.runtime.register_projections(&all).await.unwrap();
    service.stop().await;

    let (told, wanted): (Vec<_>, Vec<_>) =
        (heard.iter().map(|change| change.position).collect(), (5..=events.len() as u64).collect());
    let sorted = {
        let mut told = told.clone();
        told.sort_unstable();
        told
    };
    assert_eq!(sorted, wanted, "{told:?}");
}

#[tokio::test]
async fn a_log_that_was_put_back_is_followed_from_its_end_on() {
    let field = ProjectionFixture::new().await;
    let control = field.runtime.control();
    let registered = async || {
        let build = control.load_generation("live", ReadModelGeneration::FIRST).await.unwrap();
        (build.incarnation, build.handover)
    };
    let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));

    control.register_forwarding("live", old, 7).await.unwrap();
    control.register_forwarding("live", old, 9).await.unwrap();
    assert_eq!(registered().await, (old, 7), "who follows the log already goes on where it is");
    control.register_forwarding("live", new, 5).await.unwrap();
    assert_eq!(registered().await, (new, 5));
    assert_eq!(control.load_pointer().await.unwrap().active_generation("live"), ReadModelGeneration::FIRST);
}
