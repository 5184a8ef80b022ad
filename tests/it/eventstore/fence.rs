//! The completed prefix of the log, while transactions append in various ways.

use eventstore::log::{load_fence, read_after};
use sqlx::Executor;

use tests::{database, log_events::insert_event};

#[tokio::test]
async fn an_open_append_holds_back_later_events_until_it_commits() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut slow = pool.begin().await.unwrap();
    insert_event(&mut slow, "slow", 1).await;
    insert_event(&mut writer, "fast", 1).await;

    let fence = load_fence(&mut reader).await.unwrap();
    assert_eq!(fence, 0, "position 2 is visible, but 1 may still appear");

    slow.commit().await.unwrap();
    let fence = load_fence(&mut reader).await.unwrap();
    let events = read_after(&mut reader, 0, fence, 10).await.unwrap();
    let order: Vec<_> = events.iter().map(|event| (event.position, event.aggregate_id.as_str())).collect();
    assert_eq!(order, [(1, "slow"), (2, "fast")]);
}

#[tokio::test]
async fn a_reader_without_the_fence_would_skip_the_slow_append() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut slow = pool.begin().await.unwrap();
    insert_event(&mut slow, "slow", 1).await;
    insert_event(&mut writer, "fast", 1).await;

    let naive = read_after(&mut reader, 0, u64::MAX, 10).await.unwrap();
    let reached = naive.last().unwrap().position;
    slow.commit().await.unwrap();
    let rest = read_after(&mut reader, reached, u64::MAX, 10).await.unwrap();

    assert_eq!((reached, rest.len()), (2, 0), "the loss that the fence prevents");
}

#[tokio::test]
async fn a_rolled_back_append_leaves_a_gap_that_does_not_hold_back_the_fence() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut rolled_back = pool.begin().await.unwrap();
    insert_event(&mut rolled_back, "rolled_back", 1).await;
    insert_event(&mut writer, "kept", 1).await;
    rolled_back.rollback().await.unwrap();

    let fence = load_fence(&mut reader).await.unwrap();
    let events = read_after(&mut reader, 0, fence, 10).await.unwrap();

    assert_eq!((fence, events.len()), (2, 1));
    assert_eq!(events[0].aggregate_id, "kept");
}

#[tokio::test]
async fn a_savepoint_rolled_back_inside_an_open_append_does_not_free_its_other_positions() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut open = pool.begin().await.unwrap();
    insert_event(&mut open, "kept", 1).await;
    open.execute("savepoint s").await.unwrap();
    insert_event(&mut open, "undone", 1).await;
    open.execute("rollback to savepoint s").await.unwrap();
    insert_event(&mut writer, "other", 1).await;

    assert_eq!(load_fence(&mut reader).await.unwrap(), 0);
    open.commit().await.unwrap();
    assert_eq!(load_fence(&mut reader).await.unwrap(), 3);
}

#[tokio::test]
async fn a_foreign_transaction_that_wrote_and_idles_delays_nothing() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    pool.execute("create table foreign_table (n int)").await.unwrap();
    let mut idle = pool.begin().await.unwrap();
    idle.execute("insert into foreign_table values (1)").await.unwrap();
    insert_event(&mut writer, "a", 1).await;

    assert_eq!(load_fence(&mut reader).await.unwrap(), 1);
    idle.rollback().await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_took_its_id_early_and_appends_late_is_not_skipped() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut early = pool.begin().await.unwrap();
    early.execute("select pg_current_xact_id()").await.unwrap();
    insert_event(&mut writer, "first", 1).await;
    assert_eq!(load_fence(&mut reader).await.unwrap(), 1);

    insert_event(&mut early, "late", 1).await;
    insert_event(&mut writer, "after", 1).await;
    assert_eq!(load_fence(&mut reader).await.unwrap(), 1);
    early.commit().await.unwrap();

    let fence = load_fence(&mut reader).await.unwrap();
    let rest = read_after(&mut reader, 1, fence, 10).await.unwrap();
    let order: Vec<_> = rest.iter().map(|event| event.aggregate_id.as_str()).collect();
    assert_eq!(order, ["late", "after"]);
}

#[tokio::test]
async fn an_append_commits_synchronously_with_any_session_settings() {
    let pool = database().await;
    let mut session = pool.begin().await.unwrap();
    session.execute("set local synchronous_commit = off").await.unwrap();
    let before: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&mut *session).await.unwrap();
    insert_event(&mut session, "a", 1).await;
    let after: String = sqlx::query_scalar("show synchronous_commit").fetch_one(&mut *session).await.unwrap();
    assert_eq!((before.as_str(), after.as_str()), ("off", "local"));
    session.commit().await.unwrap();
}

#[tokio::test]
async fn a_session_without_ordinary_triggers_still_registers_its_append() {
    let pool = database().await;
    let (mut reader, mut writer) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let mut replica = pool.begin().await.unwrap();
    replica.execute("set local session_replication_role = replica").await.unwrap();
    insert_event(&mut replica, "slow", 1).await;
    insert_event(&mut writer, "fast", 1).await;

    assert_eq!(load_fence(&mut reader).await.unwrap(), 0);
    replica.commit().await.unwrap();
    assert_eq!(load_fence(&mut reader).await.unwrap(), 2);
}
