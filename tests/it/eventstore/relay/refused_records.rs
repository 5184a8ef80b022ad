//! A broker that refuses records and accepts the next ones, as one can that has just started.

use domain::{context::BoundedContext, event_store::BatchStore as _};
use eventstore::{append::PgBatchStore, relay::RelayConfig, topic::KafkaConfig};
use rdkafka::{
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
};
use tests::{
    KafkaProxy, RunningRelay, database, eventually,
    log_events::{discovered_event, discovered_payload},
    read_positions_by_aggregate, topics,
};

/// The setting of a topic that bounds the size of a batch of records.
const RECORD_LIMIT: &str = "max.message.bytes";

/// Sets the size of the largest batch of records that the topic of opportunities takes, and waits until it applies.
async fn set_record_limit(topics: &KafkaConfig, bytes: usize) {
    let topic = BoundedContext::Opportunities.topic(&topics.topic_prefix);
    let admin: AdminClient<DefaultClientContext> = topics.client_config().create().unwrap();
    let (resource, options, bytes) = (ResourceSpecifier::Topic(&topic), AdminOptions::new(), bytes.to_string());
    let change = AlterConfig::new(resource).set(RECORD_LIMIT, &bytes);
    admin.alter_configs(&[change], &options).await.unwrap().remove(0).unwrap();
    eventually(async || {
        let found = admin.describe_configs(&[resource], &options).await.unwrap().remove(0).unwrap();
        let limit = found.entry_map().get(RECORD_LIMIT).and_then(|entry| entry.value.clone());
        if limit.as_ref() == Some(&bytes) { Ok(()) } else { Err(format!("the limit is {limit:?}")) }
    })
    .await;
}

/// Text that cannot be compressed much.
fn random_text(bytes: usize) -> String {
    std::iter::repeat_with(|| uuid::Uuid::new_v4().simple().to_string()).take(bytes / 32).collect()
}

#[tokio::test]
async fn events_that_the_broker_refuses_at_first_are_published_before_later_ones() {
    let (pool, topics) = (database().await, topics().await);
    let proxy = KafkaProxy::start(&topics.brokers).await.unwrap();
    let store = PgBatchStore::new(pool.clone());
    store.append_events(vec![discovered_event("a", 1)]).await.unwrap();

    proxy.refuse_next_records();
    let relay = RunningRelay::start(&pool, &KafkaConfig { brokers: proxy.address(), ..topics.clone() }).await;
    eventually(async || proxy.has_refused_records().then_some(()).ok_or("no records were sent")).await;
    // The refusal is answered when another request is on its way.
    store.append_events(vec![discovered_event("a", 2)]).await.unwrap();
    relay.wait_until_published(2).await;
    relay.stop().await;

    assert_eq!(read_positions_by_aggregate(&topics).await["a"], [1, 2]);
}

#[tokio::test]
async fn an_event_that_the_broker_refuses_for_good_is_not_overtaken() {
    let (pool, topics) = (database().await, topics().await);
    let proxy = KafkaProxy::start(&topics.brokers).await.unwrap();
    let store = PgBatchStore::new(pool.clone());
    // No beacons between the events.
    let config = RelayConfig { beacon_ms: 3_600_000, poison_retry_ms: 200, ..RunningRelay::quick_config() };
    let kafka = KafkaConfig { brokers: proxy.address(), ..topics.clone() };
    let relay = RunningRelay::start_with(&pool, &kafka, config).await;
    store.append_events(vec![discovered_event("a", 1)]).await.unwrap();
    relay.wait_until_published(1).await;

    set_record_limit(&topics, 5_000).await;
    proxy.delay_next_answer();
    let mut large = discovered_event("a", 2);
    large.payload = discovered_payload(&random_text(30_000));
    store.append_events(vec![large]).await.unwrap();
    eventually(async || proxy.has_delayed_answer().then_some(()).ok_or("the large event was not sent")).await;
    store.append_events(vec![discovered_event("a", 3)]).await.unwrap();
    relay.wait_for_error_with("size").await;
    set_record_limit(&topics, 1_000_000).await;
    relay.wait_until_published(3).await;
    relay.stop().await;

    assert_eq!(read_positions_by_aggregate(&topics).await["a"], [1, 2, 3]);
}
