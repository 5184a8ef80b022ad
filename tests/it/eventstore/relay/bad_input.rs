//! Events that cannot be published: the relay names them and never skips them, and no later event is published before
//! them.

use domain::event_store::{BatchStore, NewEvent};
use eventstore::append::PgBatchStore;
use schemas::registry_client::{RegistryConfig, SchemaRegistryClient};
use sqlx::PgPool;
use uuid::Uuid;

use tests::{RunningRelay, database, eventually, log_events::discovered_event, read_positions_by_aggregate, topics};

async fn read_event_id(pool: &PgPool, position: i64) -> Uuid {
    sqlx::query_scalar("select event_id from events where position = $1").bind(position).fetch_one(pool).await.unwrap()
}

/// Appends a broken event between two valid ones; returns the relay's error.
async fn wait_for_relay_error(broken: NewEvent) -> String {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    store.append_events(vec![discovered_event("before", 1), broken, discovered_event("after", 1)]).await.unwrap();
    let relay = RunningRelay::start(&pool, &kafka).await;

    let error = relay.wait_for_error().await;
    relay.wait_until_published(1).await;
    relay.stop().await;

    let event_id = read_event_id(&pool, 2).await.to_string();
    assert!(error.contains("at position 2 ") && error.contains(&event_id), "{error}");
    let found = read_positions_by_aggregate(&kafka).await;
    assert_eq!(
        found.keys().map(String::as_str).collect::<Vec<_>>(),
        ["before"],
        "only the event before the broken one"
    );
    error
}

#[tokio::test]
async fn a_payload_that_does_not_match_its_schema_is_named_with_the_field() {
    let error = wait_for_relay_error(NewEvent {
        payload: r#"{"type":"discovered","filing":7}"#.to_owned(),
        ..discovered_event("x", 1)
    });
    let error = error.await;
    assert!(error.contains("filing"), "{error}");
}

#[tokio::test]
async fn an_unknown_event_type_is_named() {
    let error =
        wait_for_relay_error(NewEvent { event_type: "opportunity.teleported".to_owned(), ..discovered_event("x", 1) })
            .await;
    assert!(error.contains("opportunity.teleported 1.0"), "{error}");
}

#[tokio::test]
async fn an_unknown_version_is_named() {
    let error = wait_for_relay_error(NewEvent { event_version: "9.0".to_owned(), ..discovered_event("x", 1) }).await;
    assert!(error.contains("opportunity.discovered 9.0"), "{error}");
}

#[tokio::test]
async fn an_unavailable_registry_delays_the_relay_and_no_event_is_lost() {
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone())
        .append_events(vec![discovered_event("a", 1), discovered_event("a", 2)])
        .await
        .unwrap();
    let nowhere = SchemaRegistryClient::new(&RegistryConfig {
        url: "http://127.0.0.1:1".to_owned(),
        ..RegistryConfig::default()
    })
    .unwrap();

    let relay = RunningRelay::start_with_registry(&pool, &kafka, &nowhere, RunningRelay::quick_config());
    let error = relay.wait_for_error().await;
    relay.stop().await;
    assert!(error.contains("position 1") && error.contains("http://127.0.0.1:1"), "{error}");
    assert!(read_positions_by_aggregate(&kafka).await.is_empty());

    let relay = RunningRelay::start(&pool, &kafka).await;
    relay.wait_until_published(2).await;
    relay.stop().await;
    assert_eq!(read_positions_by_aggregate(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn a_large_event_is_published_like_any_other() {
    let (pool, kafka) = (database().await, topics().await);
    let mut payload: serde_json::Value = serde_json::from_str(&discovered_event("a", 1).payload).unwrap();
    payload["facts"]["description"] = "x".repeat(3_000_000).into();
    let large = NewEvent { payload: payload.to_string(), ..discovered_event("a", 1) };
    PgBatchStore::new(pool.clone()).append_events(vec![large, discovered_event("a", 2)]).await.unwrap();

    let relay = RunningRelay::start(&pool, &kafka).await;
    relay.wait_until_published(2).await;
    relay.stop().await;

    assert_eq!(read_positions_by_aggregate(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn the_last_error_is_cleared_once_the_relay_works_again() {
    let (pool, kafka) = (database().await, topics().await);
    sqlx::query("insert into relay_checkpoints values ('kafka', gen_random_uuid(), 7)").execute(&pool).await.unwrap();
    let relay = RunningRelay::start(&pool, &kafka).await;
    relay.wait_for_error().await;

    sqlx::query("delete from relay_checkpoints").execute(&pool).await.unwrap();
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("a", 1)]).await.unwrap();
    relay.wait_until_published(1).await;

    eventually(async || {
        let status = relay.status.borrow().clone();
        if status.last_error.is_none() { Ok(()) } else { Err(format!("{status:?}")) }
    })
    .await;
    relay.stop().await;
}
