//! Snapshots spare folding, and are believed only as far as the code that wrote them.

use cqrs_es::EventStore;
use domain::{fingerprint::Fingerprint, opportunity::Opportunity};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use sqlx::PgPool;

use super::{amend, discover, execute};
use tests::{database, eventually};

/// The longest stream in real data.
const NOTICES: u64 = 133;

fn store(pool: &PgPool, snapshot_every: usize) -> PgEventStore<Opportunity> {
    PgEventStore::new(pool.clone(), &PostgresConfig { snapshot_every, ..PostgresConfig::default() })
}

/// A long stream written without snapshots: 2 events for each notice.
async fn long_stream() -> PgPool {
    let pool = database().await;
    let store = store(&pool, 0);
    execute(&store, "a", discover()).await.unwrap();
    for number in 1..NOTICES {
        execute(&store, "a", amend(number)).await.unwrap();
    }
    pool
}

async fn saved(pool: &PgPool) -> Option<(String, i64)> {
    sqlx::query_as("select fingerprint, last_sequence from snapshots where aggregate_id = 'a'")
        .fetch_optional(pool)
        .await
        .unwrap()
}

/// Waits for a snapshot of this code after the event `sequence`.
async fn until_saved(pool: &PgPool, sequence: u64) {
    let expected = Some((Opportunity::FINGERPRINT.to_owned(), sequence.cast_signed()));
    eventually(async || {
        let found = saved(pool).await;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

async fn change(pool: &PgPool, change: &str) {
    let changed = sqlx::query(&format!("update snapshots set {change}")).execute(pool).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

/// State and sequence as all events tell them.
async fn in_full(pool: &PgPool) -> (Opportunity, usize) {
    loaded(&store(pool, 0)).await
}

async fn loaded(store: &PgEventStore<Opportunity>) -> (Opportunity, usize) {
    let context = store.load_aggregate("a").await.unwrap();
    (context.aggregate, context.current_sequence)
}

#[tokio::test]
async fn a_long_stream_is_loaded_from_its_snapshot_and_the_events_after_it() {
    let pool = long_stream().await;
    let store = store(&pool, 50);
    assert_eq!(loaded(&store).await, in_full(&pool).await);
    until_saved(&pool, 2 * NOTICES).await;
    execute(&store, "a", amend(500)).await.unwrap();

    assert_eq!(loaded(&store).await, in_full(&pool).await);

    // What only the snapshot says shows that it was used, what only the tail says that the tail was.
    change(&pool, "payload = replace(payload::text, '\"W1\"', '\"W9\"')::json").await;
    let (opportunity, sequence) = loaded(&store).await;
    let record = opportunity.record().unwrap();
    assert_eq!(record.awards["n1"].number.as_deref(), Some("W9"));
    assert_eq!((record.facts.title.as_str(), sequence), ("Patient lifts, revision 500", 268));
}

#[tokio::test]
async fn a_snapshot_of_other_code_is_thrown_away_and_replaced() {
    let pool = long_stream().await;
    let store = store(&pool, 50);
    loaded(&store).await;
    until_saved(&pool, 2 * NOTICES).await;
    change(&pool, "fingerprint = 'of other code', payload = replace(payload::text, 'Patient lifts', 'Wrong')::json")
        .await;

    assert_eq!(loaded(&store).await, in_full(&pool).await);

    until_saved(&pool, 2 * NOTICES).await;
    assert_eq!(loaded(&store).await, in_full(&pool).await);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_ignored_and_replaced_later() {
    let pool = long_stream().await;
    let store = store(&pool, 50);
    loaded(&store).await;
    until_saved(&pool, 2 * NOTICES).await;
    change(&pool, "payload = '{\"Open\": 7}'").await;

    assert_eq!(loaded(&store).await, in_full(&pool).await);

    eventually(async || {
        let mended = "select payload::text like '%Patient lifts%' from snapshots";
        let mended: bool = sqlx::query_scalar(mended).fetch_one(&pool).await.unwrap();
        if mended { Ok(()) } else { Err("still unreadable") }
    })
    .await;
    assert_eq!(loaded(&store).await, in_full(&pool).await);
}

#[tokio::test]
async fn a_snapshot_of_events_that_are_not_on_record_is_ignored() {
    let pool = long_stream().await;
    let store = store(&pool, 50);
    loaded(&store).await;
    until_saved(&pool, 2 * NOTICES).await;
    change(&pool, "last_sequence = 1000").await;

    assert_eq!(loaded(&store).await, in_full(&pool).await);
    assert_eq!(execute(&store, "a", amend(600)).await.unwrap(), 2);
}

#[tokio::test]
async fn an_older_snapshot_never_replaces_a_newer_one() {
    let pool = database().await;
    let save = include_str!("../../../../eventstore/src/store/save_snapshots.sql");
    for sequence in [7_i64, 5] {
        sqlx::query(save)
            .bind(["opportunity"].as_slice())
            .bind(["a"].as_slice())
            .bind(["f"].as_slice())
            .bind([sequence].as_slice())
            .bind(["{}"].as_slice())
            .execute(&pool)
            .await
            .unwrap();
    }
    assert_eq!(saved(&pool).await, Some(("f".to_owned(), 7)));
}
