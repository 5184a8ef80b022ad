//! Appends that delay the relay are named in its status; transactions that do not are not.

use std::time::Duration;

use eventstore::relay::{OpenAppend, RelayConfig};
use sqlx::{Executor, PgPool};

use tests::{RunningRelay, database, eventually, log_events::insert_event, topics};

fn quick_config() -> RelayConfig {
    RelayConfig { slow_append_ms: 300, retry_ms: 50, ..RelayConfig::default() }
}

/// Waits until the relay names exactly one open append, the expected one. On a busy machine the other append may be
/// named too, while it commits.
async fn wait_until_delayed_by(relay: &RunningRelay, is_expected: impl Fn(&OpenAppend) -> bool) -> OpenAppend {
    eventually(async || {
        let named = relay.status.borrow().delayed_by.clone();
        match &named[..] {
            [only] if is_expected(only) => Ok(only.clone()),
            _ => Err(format!("{named:?}")),
        }
    })
    .await
}

async fn wait_until_not_delayed(relay: &RunningRelay) {
    eventually(async || {
        let named = relay.status.borrow().delayed_by.clone();
        if named.is_empty() { Ok(()) } else { Err(format!("{named:?}")) }
    })
    .await;
}

async fn read_backend_pid(connection: &mut sqlx::PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn an_append_that_idles_in_its_transaction_is_named_until_it_ends() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start_with(&pool, &kafka, quick_config()).await;
    let mut idle = pool.begin().await.unwrap();
    idle.execute("set local application_name = 'forgetful'").await.unwrap();
    let holder = read_backend_pid(&mut idle).await;
    insert_event(&mut idle, "a", 1).await;
    insert_event(&mut pool.acquire().await.unwrap(), "b", 1).await;

    let named =
        wait_until_delayed_by(&relay, |named| named.pid == holder && named.state == "idle in transaction").await;
    assert_eq!((named.application.as_str(), named.position), ("forgetful", 0), "{named:?}");
    assert!(named.query.starts_with("insert into events") && named.age_s.unwrap() > 0.2, "{named:?}");
    assert_eq!(relay.status.borrow().position, 0);

    idle.rollback().await.unwrap();
    relay.wait_until_published(2).await;
    wait_until_not_delayed(&relay).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_prepared_append_is_named_with_the_id_that_ends_it() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start_with(&pool, &kafka, quick_config()).await;
    let gid = format!("forgotten-{}", uuid::Uuid::new_v4());
    let mut connection = pool.acquire().await.unwrap().detach();
    // Appends of this product wake the relay up by a notification, and are then not to be prepared.
    connection.execute("set application_name = 'another program'; begin").await.unwrap();
    insert_event(&mut connection, "a", 1).await;
    connection.execute(format!("prepare transaction '{gid}'").as_str()).await.unwrap();
    insert_event(&mut connection, "b", 1).await;

    let named = wait_until_delayed_by(&relay, |named| named.prepared_as.is_some()).await;
    assert_eq!(named.prepared_as.as_deref(), Some(gid.as_str()), "{named:?}");
    assert_eq!((named.pid, named.state.as_str()), (0, "prepared"));

    connection.execute(format!("rollback prepared '{gid}'").as_str()).await.unwrap();
    relay.wait_until_published(2).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_foreign_transaction_neither_delays_the_relay_nor_is_named() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = RunningRelay::start_with(&pool, &kafka, quick_config()).await;
    let mut foreign = begin_foreign_transaction(&pool).await;
    insert_event(&mut pool.acquire().await.unwrap(), "a", 1).await;

    relay.wait_until_published(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    // On a busy machine the append itself may have been named while it was committed.
    wait_until_not_delayed(&relay).await;
    foreign.execute("select 1").await.unwrap();
    foreign.rollback().await.unwrap();
    relay.stop().await;
}

/// A transaction that has written to another table and stays open.
async fn begin_foreign_transaction(pool: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    pool.execute("create table elsewhere (n int)").await.unwrap();
    let mut foreign = pool.begin().await.unwrap();
    foreign.execute("insert into elsewhere values (1)").await.unwrap();
    foreign
}
