//! Appends wake an idle relay up (ADR 53).

use std::time::Duration;

use domain::event_store::BatchStore;
use eventstore::{
    append::PgBatchStore,
    log::{FollowOptions, LogReplay, ReplayOptions},
    relay::RelayConfig,
};
use sqlx::{Executor, PgPool, postgres::PgListener};
use tests::{
    RunningRelay, database, eventually,
    log_events::{discovered_event, insert_event},
    topics,
};

/// A relay that finds nothing by polling once appends wake it.
fn config_without_polls() -> RelayConfig {
    RelayConfig { poll_idle_ms: 3_600_000, ..RelayConfig::default() }
}

/// Waits until appends wake the relay.
async fn wait_until_idle(pool: &PgPool) {
    let waiting = "select count(*) from pg_locks join pg_stat_activity using (pid)
                   where locktype = 'advisory' and mode = 'ExclusiveLock' and granted and datname = current_database()
                     and application_name = 'medhub wake-ups'";
    eventually(async || {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(pool).await.unwrap();
        if count == 1 { Ok(()) } else { Err(format!("{count} readers wait")) }
    })
    .await;
}

#[tokio::test]
async fn an_append_wakes_an_idle_relay() {
    let (pool, kafka) = (database().await, topics().await);
    let store = PgBatchStore::new(pool.clone());
    let relay = RunningRelay::start_with(&pool, &kafka, config_without_polls()).await;
    for sequence in 1..=3 {
        wait_until_idle(&pool).await;
        store.append_events(vec![discovered_event("a", sequence)]).await.unwrap();
        relay.wait_until_published(sequence).await;
    }

    // Rolled back after it has notified, with a later append that is complete only then.
    wait_until_idle(&pool).await;
    let mut undone = pool.begin().await.unwrap();
    insert_event(&mut undone, "undone", 1).await;
    store.append_events(vec![discovered_event("a", 4)]).await.unwrap();
    undone.rollback().await.unwrap();
    relay.wait_until_published(4).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_whose_listening_session_ends_polls_until_it_listens_again() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start_with(&pool, &kafka, config_without_polls()).await;
    wait_until_idle(&pool).await;

    let killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                  where datname = current_database() and application_name = 'medhub wake-ups'";
    assert_eq!(sqlx::query_scalar::<_, i64>(killed).fetch_one(&pool).await.unwrap(), 1);
    PgBatchStore::new(pool.clone()).append_events(vec![discovered_event("a", 1)]).await.unwrap();

    relay.wait_until_published(1).await;
    relay.stop().await;
}

#[tokio::test]
async fn the_session_of_a_former_relay_is_ended() {
    let (pool, kafka) = (database().await, topics().await);
    let mut former = pool.acquire().await.unwrap().detach();
    former.execute("set application_name = 'medhub wake-ups'; select log_begin_waiting()").await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut former).await.unwrap();
    let relay = RunningRelay::start_with(&pool, &kafka, config_without_polls()).await;

    eventually(async || {
        let sessions = sqlx::query_scalar("select count(*) from pg_stat_activity where pid = $1").bind(pid);
        let count: i64 = sessions.fetch_one(&pool).await.unwrap();
        if count == 0 { Ok(()) } else { Err("the former session is open".to_owned()) }
    })
    .await;
    wait_until_idle(&pool).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_session_whose_transactions_are_repeatable_read_misses_no_event() {
    let pool = database().await;
    let store = PgBatchStore::new(pool.clone());
    let mut connection = pool.acquire().await.unwrap().detach();
    connection.execute("set default_transaction_isolation = 'repeatable read'").await.unwrap();
    let refusal = connection.execute("select * from log_read_tail(0, 1)").await.unwrap_err();
    assert!(refusal.to_string().contains("isolation level"), "{refusal}");

    let options = ReplayOptions { follow: Some(FollowOptions::default()), ..ReplayOptions::default() };
    let mut replay = LogReplay::start_on_connection(connection, options).unwrap();
    let mut read = Vec::<u64>::new();
    for sequence in 1..=3 {
        store.append_events(vec![discovered_event("a", sequence)]).await.unwrap();
        while read.last() != Some(&sequence) {
            let batch = tokio::time::timeout(Duration::from_mins(1), replay.next_batch()).await.unwrap().unwrap();
            read.extend(batch.unwrap().events.iter().map(|event| event.sequence));
        }
    }
    assert_eq!(read, [1, 2, 3]);
}

#[tokio::test]
async fn an_append_notifies_only_while_a_reader_waits() {
    let pool = database().await;
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("medhub_log").await.unwrap();
    let mut reader = pool.acquire().await.unwrap();
    let mut append = pool.begin().await.unwrap();
    insert_event(&mut append, "a", 1).await;
    let begin_waiting = "select log_begin_waiting()";
    let waits: bool = sqlx::query_scalar(begin_waiting).fetch_one(&mut *reader).await.unwrap();
    assert!(!waits, "an open append will not notify");
    append.commit().await.unwrap();

    let waits: bool = sqlx::query_scalar(begin_waiting).fetch_one(&mut *reader).await.unwrap();
    assert!(waits);
    insert_event(&mut pool.acquire().await.unwrap(), "a", 2).await;
    reader.execute("select log_end_waiting()").await.unwrap();
    insert_event(&mut pool.acquire().await.unwrap(), "a", 3).await;
    pool.execute("select pg_notify('medhub_log', 'last')").await.unwrap();

    let mut received = vec![];
    while received.last().is_none_or(|last| last != "last") {
        let notification = tokio::time::timeout(Duration::from_mins(1), listener.recv()).await.unwrap().unwrap();
        received.push(notification.payload().to_owned());
    }
    assert_eq!(received, ["", "last"]);
}

#[tokio::test]
async fn another_program_may_prepare_its_append_while_a_reader_waits() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start(&pool, &kafka).await;
    wait_until_idle(&pool).await;
    let gid = format!("elsewhere-{}", uuid::Uuid::new_v4());
    let mut connection = pool.acquire().await.unwrap().detach();
    connection.execute("set application_name = 'another program'; begin").await.unwrap();
    insert_event(&mut connection, "a", 1).await;
    connection.execute(format!("prepare transaction '{gid}'").as_str()).await.unwrap();
    connection.execute(format!("commit prepared '{gid}'").as_str()).await.unwrap();

    relay.wait_until_published(1).await;
    relay.stop().await;
}
