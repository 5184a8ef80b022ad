//! A relay whose producer was told that there are no brokers.

use domain::event_store::BatchStore as _;
use eventstore::{append::PgBatchStore, topic::KafkaConfig};
use tests::{KafkaProxy, RunningRelay, database, log_events::discovered_event, read_positions_by_aggregate, topics};

#[tokio::test]
async fn a_relay_resumes_after_its_producer_was_told_that_there_are_no_brokers() {
    let (pool, topics) = (database().await, topics().await);
    let proxy = KafkaProxy::start(&topics.brokers).await.unwrap();
    let store = PgBatchStore::new(pool.clone());
    let relay = RunningRelay::start(&pool, &KafkaConfig { brokers: proxy.address(), ..topics.clone() }).await;
    store.append_events(vec![discovered_event("a", 1)]).await.unwrap();
    relay.wait_until_published(1).await;

    proxy.hide_brokers();
    store.append_events(vec![discovered_event("a", 2)]).await.unwrap();
    proxy.wait_for_hidden_lists(2).await;
    proxy.show_brokers();

    relay.wait_until_published(2).await;
    relay.stop().await;
    assert_eq!(read_positions_by_aggregate(&topics).await["a"], [1, 2], "neither lost nor twice");
}
