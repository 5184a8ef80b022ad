//! Snapshots save folding, and are used only if the code that wrote them folds in the same way.

use cqrs_es::EventStore;
use domain::{fingerprint::Fingerprint, opportunity::Opportunity};
use eventstore::{postgres::PostgresConfig, store::PgEventStore};
use sqlx::PgPool;

use super::{amend_command, discover_command, load_and_commit};
use tests::{database, eventually};

/// The longest stream in real data.
const NOTICE_COUNT: u64 = 133;

fn create_store(pool: &PgPool, snapshot_every: usize) -> PgEventStore<Opportunity> {
    PgEventStore::new(pool.clone(), &PostgresConfig { snapshot_every, ..PostgresConfig::default() })
}

/// Writes a long stream without snapshots: 2 events for each notice.
async fn write_long_stream() -> PgPool {
    let pool = database().await;
    let store = create_store(&pool, 0);
    load_and_commit(&store, "a", discover_command()).await.unwrap();
    for number in 1..NOTICE_COUNT {
        load_and_commit(&store, "a", amend_command(number)).await.unwrap();
    }
    pool
}

async fn load_snapshot(pool: &PgPool) -> Option<(String, i64)> {
    sqlx::query_as("select fingerprint, last_sequence from snapshots where aggregate_id = 'a'")
        .fetch_optional(pool)
        .await
        .unwrap()
}

/// Waits for a snapshot by this code that includes the event `sequence`.
async fn wait_for_snapshot(pool: &PgPool, sequence: u64) {
    let expected = Some((Opportunity::FINGERPRINT.to_owned(), sequence.cast_signed()));
    eventually(async || {
        let found = load_snapshot(pool).await;
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

async fn update_snapshot(pool: &PgPool, change: &str) {
    let changed = sqlx::query(&format!("update snapshots set {change}")).execute(pool).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
}

/// State and sequence folded from all events, without a snapshot.
async fn load_without_snapshot(pool: &PgPool) -> (Opportunity, usize) {
    load_aggregate(&create_store(pool, 0)).await
}

async fn load_aggregate(store: &PgEventStore<Opportunity>) -> (Opportunity, usize) {
    let context = store.load_aggregate("a").await.unwrap();
    (context.aggregate, context.current_sequence)
}

#[tokio::test]
async fn a_long_stream_is_loaded_from_its_snapshot_and_the_events_after_it() {
    let pool = write_long_stream().await;
    let store = create_store(&pool, 50);
    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);
    wait_for_snapshot(&pool, 2 * NOTICE_COUNT).await;
    load_and_commit(&store, "a", amend_command(500)).await.unwrap();

    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);

    // The changed award shows that the snapshot was used, and the new title that the events after it were.
    update_snapshot(&pool, "payload = replace(payload::text, '\"W1\"', '\"W9\"')::json").await;
    let (opportunity, sequence) = load_aggregate(&store).await;
    let record = opportunity.record().unwrap();
    assert_eq!(record.awards["n1"].number.as_deref(), Some("W9"));
    assert_eq!((record.details.title.as_str(), sequence), ("Patient lifts, revision 500", 268));
}

#[tokio::test]
async fn a_snapshot_of_other_code_is_ignored_and_replaced() {
    let pool = write_long_stream().await;
    let store = create_store(&pool, 50);
    load_aggregate(&store).await;
    wait_for_snapshot(&pool, 2 * NOTICE_COUNT).await;
    update_snapshot(
        &pool,
        "fingerprint = 'of other code', payload = replace(payload::text, 'Patient lifts', 'Wrong')::json",
    )
    .await;

    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);

    wait_for_snapshot(&pool, 2 * NOTICE_COUNT).await;
    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_read_is_ignored_and_replaced_later() {
    let pool = write_long_stream().await;
    let store = create_store(&pool, 50);
    load_aggregate(&store).await;
    wait_for_snapshot(&pool, 2 * NOTICE_COUNT).await;
    update_snapshot(&pool, "payload = '{\"Open\": 7}'").await;

    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);

    eventually(async || {
        let is_replaced = "select payload::text like '%Patient lifts%' from snapshots";
        let is_replaced: bool = sqlx::query_scalar(is_replaced).fetch_one(&pool).await.unwrap();
        if is_replaced { Ok(()) } else { Err("still unreadable") }
    })
    .await;
    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);
}

#[tokio::test]
async fn a_snapshot_ahead_of_its_stream_is_ignored() {
    let pool = write_long_stream().await;
    let store = create_store(&pool, 50);
    load_aggregate(&store).await;
    wait_for_snapshot(&pool, 2 * NOTICE_COUNT).await;
    update_snapshot(&pool, "last_sequence = 1000").await;

    assert_eq!(load_aggregate(&store).await, load_without_snapshot(&pool).await);
    assert_eq!(load_and_commit(&store, "a", amend_command(600)).await.unwrap(), 2);
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
    assert_eq!(load_snapshot(&pool).await, Some(("f".to_owned(), 7)));
}
