//! A worker whose consumer was told that there are no brokers.

use tests::{KafkaProxy, engines, opportunity_history::history};

use super::projection_fixture::{ProjectionFixture, unreachable_registry};

#[tokio::test]
async fn a_worker_resumes_after_its_consumer_was_told_that_there_are_no_brokers() {
    let proxy = KafkaProxy::start(engines().await.variable("KAFKA_BROKERS")).await.unwrap();
    let field = ProjectionFixture::with(unreachable_registry(), |config| {
        (config.brokers, config.stall_after_ms) = (proxy.address(), 1_000);
    })
    .await;
    let (events, views) = (history(), tests::views().await);
    let (early, late) = events.split_at(3);
    let worker = field.start(&views).await;
    field.publish(early).await;
    worker.applied(early.len()).await;

    proxy.hide_brokers();
    proxy.wait_for_hidden_lists(2).await;
    proxy.show_brokers();
    field.publish(late).await;

    worker.applied(events.len()).await;
    worker.stop().await;
    assert_eq!(views.counters().await.unwrap().total, 3);
}
