//! The relay publishes every event to Kafka, once and in order.

mod append_wakeups;
mod bad_input;
mod leadership;
mod lost_broker;
mod open_append;
mod refused_records;
mod relay_process;
mod restored_log;
mod watermark;

use domain::event_store::BatchStore;
use eventstore::{append::PgBatchStore, error::LogError, topic::KafkaConfig};
use tests::{
    RunningRelay, database,
    log_events::{discovered_event, insert_event},
    read_positions_by_aggregate, topics,
};

#[tokio::test]
async fn every_event_reaches_kafka_once_and_in_the_order_of_its_stream() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let relay = RunningRelay::start(&pool, &kafka).await;
    for sequence in 1..=40 {
        store.append_events((0..50).map(|n| discovered_event(&format!("a{n}"), sequence)).collect()).await.unwrap();
    }
    relay.wait_until_published(2_000).await;
    relay.stop().await;

    let found = read_positions_by_aggregate(&kafka).await;

    assert_eq!(found.len(), 50);
    for (aggregate, positions) in &found {
        assert_eq!(positions.len(), 40, "{aggregate}");
        assert!(positions.is_sorted(), "{aggregate}: {positions:?}");
    }
}

#[tokio::test]
async fn a_relay_that_lost_its_checkpoint_publishes_nothing_twice() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    store.append_events((0..300).map(|n| discovered_event(&format!("a{n}"), 1)).collect()).await.unwrap();
    let relay = RunningRelay::start(&pool, &kafka).await;
    relay.wait_until_published(300).await;
    relay.stop().await;
    // The worst result of a crash between Kafka's acknowledgement and the checkpoint.
    sqlx::query("delete from relay_checkpoints").execute(&pool).await.unwrap();
    store.append_events((0..300).map(|n| discovered_event(&format!("a{n}"), 2)).collect()).await.unwrap();

    let relay = RunningRelay::start(&pool, &kafka).await;
    relay.wait_until_published(600).await;
    relay.stop().await;

    assert_eq!(eventstore::count::count_published(&kafka).await.unwrap(), 600);
    assert!(
        read_positions_by_aggregate(&kafka)
            .await
            .values()
            .all(|positions| positions.len() == 2 && positions.is_sorted())
    );
}

#[tokio::test]
async fn a_slow_append_is_published_although_a_later_one_committed_first() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start(&pool, &kafka).await;
    let mut slow = pool.begin().await.unwrap();
    insert_event(&mut slow, "a", 1).await;
    insert_event(&mut pool.acquire().await.unwrap(), "b", 1).await;
    let mut idle = pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *idle).await.unwrap();
    slow.commit().await.unwrap();

    relay.wait_until_published(2).await;
    relay.stop().await;

    let found = read_positions_by_aggregate(&kafka).await;
    assert_eq!((found["a"].as_slice(), found["b"].as_slice()), ([1].as_slice(), [2].as_slice()));
}

#[tokio::test]
async fn one_of_two_relays_leads_and_the_other_takes_over() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let first = RunningRelay::start(&pool, &kafka).await;
    store.append_events(vec![discovered_event("a", 1)]).await.unwrap();
    first.wait_until_published(1).await;
    let second = RunningRelay::start(&pool, &kafka).await;
    assert!(!second.status.borrow().leading);

    first.stop().await;
    store.append_events(vec![discovered_event("a", 2)]).await.unwrap();
    second.wait_until_published(2).await;
    second.stop().await;

    assert_eq!(read_positions_by_aggregate(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn topics_of_another_log_are_refused_by_name() {
    let (other, pool, kafka) = (database().await, database().await, topics().await);
    PgBatchStore::new(other.clone())
        .append_events((0..9).map(|n| discovered_event(&format!("a{n}"), 1)).collect())
        .await
        .unwrap();
    let relay = RunningRelay::start(&other, &kafka).await;
    relay.wait_until_published(9).await;
    relay.stop().await;

    let relay = RunningRelay::start(&pool, &kafka).await;
    let error = relay.wait_for_error().await;
    relay.stop().await;

    assert!(error.contains("the topics hold the events of another log") && error.contains("medhub recover"), "{error}");
    assert_eq!(eventstore::count::count_published(&kafka).await.unwrap(), 9);
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_refused() {
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("a", 1)]).await.unwrap();
    sqlx::query("insert into relay_checkpoints values ('kafka', gen_random_uuid(), 7)").execute(&pool).await.unwrap();

    let relay = RunningRelay::start(&pool, &kafka).await;
    let error = relay.wait_for_error().await;
    relay.stop().await;

    assert!(error.contains("the database was restored"), "{error}");
}

#[tokio::test]
async fn an_unknown_aggregate_type_stops_the_relay_and_is_named() {
    let (pool, kafka) = (database().await, topics().await);
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         values ('spaceship', 'x', 1, 'spaceship.launched', '1.0', '{}', '{}')",
    )
    .execute(&pool)
    .await
    .unwrap();

    let relay = RunningRelay::start(&pool, &kafka).await;
    let error = relay.wait_for_error().await;
    relay.stop().await;

    assert!(error.contains("at position 1 ") && error.contains("spaceship"), "{error}");
}

#[tokio::test]
async fn a_topic_with_another_number_of_partitions_than_configured_is_refused() {
    let kafka = topics().await;
    let error = eventstore::topic::ensure_topics(&KafkaConfig { partitions: 7, ..kafka.clone() }).await.unwrap_err();
    assert!(matches!(error, LogError::Partitions { found: 4, expected: 7, .. }), "{error}");
}
