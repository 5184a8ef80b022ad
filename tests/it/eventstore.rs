//! The log and its relay on real Postgres and Kafka: no event is lost or reordered, and no reader waits without need.

mod append;
mod facts;
mod fence;
mod pgbouncer;
mod pool;
mod relay;
mod replay;

use domain::event_store::{BatchStore, NewEvent, StoreError};
use eventstore::append::PgBatchStore;
use tests::{
    database,
    log_events::{discovered_event, discovered_payload},
};

#[tokio::test]
async fn a_batch_is_appended_whole_or_not_at_all() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    store.append_events(vec![discovered_event("a", 1), discovered_event("b", 1)]).await.unwrap();

    let outcome = store.append_events(vec![discovered_event("c", 1), discovered_event("a", 1)]).await;

    assert!(matches!(outcome, Err(StoreError::Conflict)), "{outcome:?}");
    let counts = eventstore::count::count_log(&pool).await.unwrap();
    assert_eq!((counts.events, counts.streams, counts.opportunities), (2, 2, 2));
}

#[tokio::test]
async fn streams_of_two_kinds_with_the_same_id_are_distinct_and_counted_by_kind() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    let watchlist = NewEvent { aggregate_type: "watchlist", ..discovered_event("a", 1) };

    store.append_events(vec![discovered_event("a", 1), discovered_event("a", 2), watchlist]).await.unwrap();

    let counts = eventstore::count::count_log(&pool).await.unwrap();
    assert_eq!((counts.events, counts.streams, counts.opportunities), (3, 2, 1));
    assert_eq!(store.load_streams("watchlist", &["a".to_owned()]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn streams_are_loaded_in_the_order_of_their_sequence() {
    let store = PgBatchStore::new(database().await);
    store
        .append_events(vec![
            discovered_event("a", 1),
            discovered_event("b", 1),
            discovered_event("a", 2),
            discovered_event("a", 3),
        ])
        .await
        .unwrap();

    let loaded = store.load_streams("opportunity", &["a".to_owned(), "unknown".to_owned()]).await.unwrap();

    let sequences: Vec<_> = loaded.iter().map(|event| (event.aggregate_id.as_str(), event.sequence)).collect();
    assert_eq!(sequences, [("a", 1), ("a", 2), ("a", 3)]);
    assert_eq!(loaded[2].payload, discovered_payload("3"));
}

#[tokio::test]
async fn the_log_refuses_updates_deletes_and_truncation() {
    let pool = database().await;
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("a", 1)]).await.unwrap();
    for statement in ["update events set payload = '{}'", "delete from events", "truncate events"] {
        let refusal = sqlx::query(statement).execute(&pool).await.unwrap_err().to_string();
        assert!(refusal.contains("the event log is immutable"), "{statement}: {refusal}");
    }
}
