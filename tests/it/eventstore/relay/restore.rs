//! A log that was restored is another log: recognised, not published, and led out of it by one command.

use std::{path::Path, process::Command};

use domain::store::BatchStore;
use eventstore::{append::PgBatchStore, topic::KafkaConfig};
use schemas::registry::{Registry, RegistryConfig};
use sqlx::{Connection, Executor, PgConnection, PgPool, postgres::PgPoolOptions};
use tests::{Stack, eventually};
use uuid::Uuid;

use super::{PATIENCE, Running, on_kafka};
use crate::eventstore::{
    database, event,
    record::{Record, records},
    topics,
};

#[tokio::test]
async fn a_log_copied_into_another_database_is_refused_until_it_is_recovered() {
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone()).append_many(vec![event("a", 1), event("a", 2)]).await.unwrap();
    let copy = copied(&pool).await;

    let relay = Running::start(&copy, &kafka).await;
    let error = relay.last_error().await;
    relay.stop().await;
    assert!(error.contains("was restored or cloned") && error.contains("medhub recover"), "{error}");
    assert!(on_kafka(&kafka).await.is_empty());

    eventstore::relay::recover(&copy, &kafka).await.unwrap();
    let relay = Running::start(&copy, &kafka).await;
    relay.reach(2).await;
    relay.stop().await;
    assert_eq!(on_kafka(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn a_dump_restored_elsewhere_is_refused() {
    let Some(programs) = client_programs() else {
        println!("skipped: no pg_dump on this machine; the clone of a database is tested all the same");
        return;
    };
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone()).append_many(vec![event("a", 1)]).await.unwrap();
    let admin = tests::engines().await.url("DATABASE_URL");
    let (from, to) = (name_of(&pool), format!("t_{}", Uuid::new_v4().simple()));
    PgConnection::connect(&admin).await.unwrap().execute(format!("create database {to}").as_str()).await.unwrap();
    let pipe = format!(
        "{programs}pg_dump '{}' | {programs}psql -q -v ON_ERROR_STOP=1 '{}'",
        at(&admin, &from),
        at(&admin, &to)
    );
    let restored = Command::new("sh").args(["-c", &pipe]).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));

    let copy = PgPoolOptions::new().max_connections(4).connect(&at(&admin, &to)).await.unwrap();
    let relay = Running::start(&copy, &kafka).await;
    let error = relay.last_error().await;
    relay.stop().await;

    assert!(error.contains("was restored or cloned"), "{error}");
}

#[tokio::test]
async fn a_base_backup_put_back_is_refused_although_it_has_grown_past_what_was_published() {
    let stack = Stack::start_engines().await;
    let (pool, kafka) = opened(&stack).await;
    eventstore::postgres::migrate(&pool).await.unwrap();
    eventstore::topic::ensure(&kafka).await.unwrap();
    append(&pool, "kept", 50).await;
    publish(&stack, &pool, &kafka, 50).await;
    pool.close().await;

    let (stack, _) = stack.stop().await;
    let folder = stack.data().join("postgres");
    copy(&folder, &stack.data().join("backup"));
    let stack = stack.restart().await;
    let (pool, kafka) = opened(&stack).await;
    append(&pool, "lost", 50).await;
    publish(&stack, &pool, &kafka, 100).await;
    pool.close().await;

    let (stack, _) = stack.stop().await;
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(stack.data().join("backup"), &folder).unwrap();
    let stack = stack.restart().await;
    let (pool, kafka) = opened(&stack).await;
    // The positions that were published are given out again, for other events.
    append(&pool, "new", 60).await;
    let relay = Running::at(&pool, &kafka, &registry_of(&stack), super::quick());
    let error = relay.last_error().await;
    relay.stop().await;
    assert!(error.contains("put back from a backup") && error.contains("medhub recover"), "{error}");

    let refused = stack.medhub(&["recover"]).await;
    assert!(!refused.status.success(), "without --yes nothing is done");
    let recovered = stack.medhub(&["recover", "--yes"]).await;
    assert!(recovered.status.success(), "{}", String::from_utf8_lossy(&recovered.stderr));
    let relay = Running::at(&pool, &kafka, &registry_of(&stack), super::quick());
    relay.reach(110).await;
    relay.stop().await;

    let events: Vec<_> = records(&kafka).await.into_iter().filter(Record::is_event).collect();
    let count = |kind: &str| events.iter().filter(|record| record.key.as_deref().unwrap().starts_with(kind)).count();
    assert_eq!((events.len(), count("kept"), count("lost"), count("new")), (110, 50, 0, 60));
}

async fn append(pool: &PgPool, kind: &str, events: u64) {
    let events = (0..events).map(|n| event(&format!("{kind}{n}"), 1)).collect();
    PgBatchStore::new(pool.clone()).append_many(events).await.unwrap();
}

async fn publish(stack: &Stack, pool: &PgPool, kafka: &KafkaConfig, position: u64) {
    let relay = Running::at(pool, kafka, &registry_of(stack), super::quick());
    relay.reach(position).await;
    relay.stop().await;
}

async fn opened(stack: &Stack) -> (PgPool, KafkaConfig) {
    let pool = PgPoolOptions::new().max_connections(8).connect(&stack.url("DATABASE_URL")).await.unwrap();
    (pool, KafkaConfig { brokers: stack.url("KAFKA_BROKERS"), ..KafkaConfig::default() })
}

fn registry_of(stack: &Stack) -> Registry {
    Registry::new(&RegistryConfig { url: stack.url("SCHEMA_REGISTRY_URL") })
}

/// With owners and times: Postgres insists on them.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// The same database under another name, as a restore of a dump would make it.
async fn copied(pool: &PgPool) -> PgPool {
    let admin = tests::engines().await.url("DATABASE_URL");
    let (from, to) = (name_of(pool), format!("t_{}", Uuid::new_v4().simple()));
    pool.close().await;
    let mut connection = PgConnection::connect(&admin).await.unwrap();
    // A template must have no visitors, and the pool may leave a session to its time-out.
    eventually(PATIENCE, async || {
        let visitors: Vec<bool> =
            sqlx::query_scalar("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
                .bind(&from)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        if visitors.is_empty() { Ok(()) } else { Err(format!("{} sessions in {from}", visitors.len())) }
    })
    .await;
    connection.execute(format!("create database {to} template {from}").as_str()).await.unwrap();
    PgPoolOptions::new().max_connections(8).connect(&at(&admin, &to)).await.unwrap()
}

fn name_of(pool: &PgPool) -> String {
    pool.connect_options().get_database().unwrap().to_owned()
}

fn at(url: &str, database: &str) -> String {
    let mut url = reqwest::Url::parse(url).unwrap();
    url.set_path(database);
    url.to_string()
}

/// What `pg_dump` and `psql` are called by, up to their names: a folder, or nothing where they are on the path.
fn client_programs() -> Option<String> {
    let runs = |folder: &str| Command::new(format!("{folder}pg_dump")).arg("--version").output().is_ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = installed.map(|folder| format!("{}/bin/", folder.path().display())).collect();
    folders.push(String::new());
    folders.into_iter().find(|folder| runs(folder))
}
