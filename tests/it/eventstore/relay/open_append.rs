//! Who holds the relay up is named; who does not is left alone.

use std::time::Duration;

use eventstore::relay::{OpenAppend, RelayConfig};
use sqlx::{Executor, PgPool};
use tests::eventually;

use super::{PATIENCE, Running};
use crate::eventstore::{database, insert, topics};

fn quick_to_complain() -> RelayConfig {
    RelayConfig { slow_append_ms: 300, retry_ms: 50, ..RelayConfig::default() }
}

async fn delaying(relay: &Running) -> Vec<OpenAppend> {
    eventually(PATIENCE, async || {
        let status = relay.status.borrow().clone();
        if status.delayed_by.is_empty() { Err(format!("{status:?}")) } else { Ok(status.delayed_by) }
    })
    .await
}

async fn pid(connection: &mut sqlx::PgConnection) -> i32 {
    sqlx::query_scalar("select pg_backend_pid()").fetch_one(connection).await.unwrap()
}

#[tokio::test]
async fn an_append_that_idles_in_its_transaction_is_named_until_it_ends() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = Running::with(&pool, &kafka, quick_to_complain()).await;
    let mut idle = pool.begin().await.unwrap();
    idle.execute("set local application_name = 'forgetful'").await.unwrap();
    let holder = pid(&mut idle).await;
    insert(&mut idle, "a", 1).await;
    insert(&mut pool.acquire().await.unwrap(), "b", 1).await;

    let named = delaying(&relay).await;
    assert_eq!((named.len(), named[0].pid, named[0].position), (1, holder, 0), "{named:?}");
    assert_eq!((named[0].application.as_str(), named[0].state.as_str()), ("forgetful", "idle in transaction"));
    assert!(named[0].query.starts_with("insert into events") && named[0].age_s.unwrap() > 0.2, "{named:?}");
    assert_eq!(relay.status.borrow().position, 0);

    idle.rollback().await.unwrap();
    relay.reach(2).await;
    eventually(PATIENCE, async || {
        let left = relay.status.borrow().delayed_by.clone();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    relay.stop().await;
}

#[tokio::test]
async fn a_prepared_append_is_named_by_what_ends_it() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = Running::with(&pool, &kafka, quick_to_complain()).await;
    let gid = format!("forgotten-{}", uuid::Uuid::new_v4());
    let mut connection = pool.acquire().await.unwrap();
    connection.execute("begin").await.unwrap();
    insert(&mut connection, "a", 1).await;
    connection.execute(format!("prepare transaction '{gid}'").as_str()).await.unwrap();
    insert(&mut connection, "b", 1).await;

    let named = delaying(&relay).await;
    assert_eq!(named[0].prepared_as.as_deref(), Some(gid.as_str()), "{named:?}");
    assert_eq!((named[0].pid, named[0].state.as_str()), (0, "prepared"));

    connection.execute(format!("rollback prepared '{gid}'").as_str()).await.unwrap();
    relay.reach(2).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_foreign_transaction_is_neither_waited_for_nor_named() {
    let (pool, kafka) = (database().await, topics().await);
    let relay = Running::with(&pool, &kafka, quick_to_complain()).await;
    let mut foreign = foreign(&pool).await;
    insert(&mut pool.acquire().await.unwrap(), "a", 1).await;

    relay.reach(1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;

    assert!(relay.status.borrow().delayed_by.is_empty());
    foreign.execute("select 1").await.unwrap();
    foreign.rollback().await.unwrap();
    relay.stop().await;
}

/// A transaction that has written elsewhere and stays open.
async fn foreign(pool: &PgPool) -> sqlx::Transaction<'static, sqlx::Postgres> {
    pool.execute("create table elsewhere (n int)").await.unwrap();
    let mut foreign = pool.begin().await.unwrap();
    foreign.execute("insert into elsewhere values (1)").await.unwrap();
    foreign
}
