//! What reaches Kafka: everything, once, in order.

mod bad_input;
mod open_append;
mod restore;
mod service;
mod watermark;

use std::{collections::HashMap, time::Duration};

use domain::store::BatchStore;
use eventstore::{
    append::PgBatchStore,
    error::LogError,
    relay::{Relay, RelayConfig, RelayStatus},
    topic::KafkaConfig,
};
use schemas::registry::Registry;
use sqlx::PgPool;
use tests::eventually;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    database, event, insert,
    record::{Record, records},
    registry, topics,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn quick() -> RelayConfig {
    RelayConfig { retry_ms: 50, ..RelayConfig::default() }
}

struct Running {
    status: watch::Receiver<RelayStatus>,
    task: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Running {
    async fn start(pool: &PgPool, kafka: &KafkaConfig) -> Self {
        Self::with(pool, kafka, quick()).await
    }

    async fn with(pool: &PgPool, kafka: &KafkaConfig, config: RelayConfig) -> Self {
        Self::at(pool, kafka, &registry().await, config)
    }

    fn at(pool: &PgPool, kafka: &KafkaConfig, registry: &Registry, config: RelayConfig) -> Self {
        let relay = Relay::new(pool.clone(), kafka.clone(), registry.clone(), config);
        let (status, shutdown) = (relay.status(), CancellationToken::new());
        Self { status, task: tokio::spawn(relay.run(shutdown.clone())), shutdown }
    }

    async fn reach(&self, position: u64) {
        eventually(PATIENCE, async || {
            let status = self.status.borrow().clone();
            if status.position >= position { Ok(()) } else { Err(format!("{status:?}")) }
        })
        .await;
    }

    async fn last_error(&self) -> String {
        eventually(PATIENCE, async || {
            let status = self.status.borrow().clone();
            status.last_error.clone().ok_or(format!("{status:?}"))
        })
        .await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

/// Aggregate -> positions, in the order they stand on the topic of opportunities.
async fn on_kafka(config: &KafkaConfig) -> HashMap<String, Vec<u64>> {
    let mut found: HashMap<String, Vec<u64>> = HashMap::new();
    for record in records(config).await.into_iter().filter(Record::is_event) {
        found.entry(record.key.clone().unwrap()).or_default().push(record.number("position").unwrap());
    }
    found
}

#[tokio::test]
async fn every_event_reaches_kafka_once_and_in_the_order_of_its_stream() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let relay = Running::start(&pool, &kafka).await;
    for sequence in 1..=40 {
        store.append_many((0..50).map(|n| event(&format!("a{n}"), sequence)).collect()).await.unwrap();
    }
    relay.reach(2_000).await;
    relay.stop().await;

    let found = on_kafka(&kafka).await;

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
    store.append_many((0..300).map(|n| event(&format!("a{n}"), 1)).collect()).await.unwrap();
    let relay = Running::start(&pool, &kafka).await;
    relay.reach(300).await;
    relay.stop().await;
    // What a crash between acknowledgement and checkpoint leaves behind, at its worst.
    sqlx::query("delete from relay_checkpoints").execute(&pool).await.unwrap();
    store.append_many((0..300).map(|n| event(&format!("a{n}"), 2)).collect()).await.unwrap();

    let relay = Running::start(&pool, &kafka).await;
    relay.reach(600).await;
    relay.stop().await;

    assert_eq!(eventstore::count::records(&kafka).await.unwrap(), 600);
    assert!(on_kafka(&kafka).await.values().all(|positions| positions.len() == 2 && positions.is_sorted()));
}

#[tokio::test]
async fn a_slow_append_is_not_overtaken_on_kafka() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = Running::start(&pool, &kafka).await;
    let mut slow = pool.begin().await.unwrap();
    insert(&mut slow, "a", 1).await;
    insert(&mut pool.acquire().await.unwrap(), "b", 1).await;
    let mut idle = pool.begin().await.unwrap();
    sqlx::query("select pg_current_xact_id()").execute(&mut *idle).await.unwrap();
    slow.commit().await.unwrap();

    relay.reach(2).await;
    relay.stop().await;

    let found = on_kafka(&kafka).await;
    assert_eq!((found["a"].as_slice(), found["b"].as_slice()), ([1].as_slice(), [2].as_slice()));
}

#[tokio::test]
async fn one_of_two_relays_leads_and_the_other_takes_over() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let first = Running::start(&pool, &kafka).await;
    store.append_many(vec![event("a", 1)]).await.unwrap();
    first.reach(1).await;
    let second = Running::start(&pool, &kafka).await;
    assert!(!second.status.borrow().leading);

    first.stop().await;
    store.append_many(vec![event("a", 2)]).await.unwrap();
    second.reach(2).await;
    second.stop().await;

    assert_eq!(on_kafka(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn topics_of_another_log_are_refused_by_name() {
    let (other, pool, kafka) = (database().await, database().await, topics().await);
    PgBatchStore::new(other.clone()).append_many((0..9).map(|n| event(&format!("a{n}"), 1)).collect()).await.unwrap();
    let relay = Running::start(&other, &kafka).await;
    relay.reach(9).await;
    relay.stop().await;

    let relay = Running::start(&pool, &kafka).await;
    let error = relay.last_error().await;
    relay.stop().await;

    assert!(error.contains("the topics carry another log") && error.contains("medhub recover"), "{error}");
    assert_eq!(eventstore::count::records(&kafka).await.unwrap(), 9);
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_refused() {
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone()).append_many(vec![event("a", 1)]).await.unwrap();
    sqlx::query("insert into relay_checkpoints values ('kafka', gen_random_uuid(), 7)").execute(&pool).await.unwrap();

    let relay = Running::start(&pool, &kafka).await;
    let error = relay.last_error().await;
    relay.stop().await;

    assert!(error.contains("the database was restored"), "{error}");
}

#[tokio::test]
async fn an_aggregate_type_that_nobody_registered_stops_the_relay_and_is_named() {
    let (pool, kafka) = (database().await, topics().await);
    sqlx::query(
        "insert into events (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata)
         values ('spaceship', 'x', 1, 'spaceship.launched', '1.0', '{}', '{}')",
    )
    .execute(&pool)
    .await
    .unwrap();

    let relay = Running::start(&pool, &kafka).await;
    let error = relay.last_error().await;
    relay.stop().await;

    assert!(error.contains("at position 1 ") && error.contains("spaceship"), "{error}");
}

#[tokio::test]
async fn a_topic_with_other_partitions_than_configured_is_named() {
    let kafka = topics().await;
    let error = eventstore::topic::ensure(&KafkaConfig { partitions: 7, ..kafka }).await.unwrap_err();
    assert!(matches!(error, LogError::Partitions { found: 4, expected: 7, .. }), "{error}");
}
