//! A log that was copied to another database is a different log: the relay detects it, and publishes only after
//! `recover`.

use std::process::Command;

use domain::event_store::BatchStore;
use eventstore::append::PgBatchStore;
use sqlx::{Connection, Executor, PgConnection, PgPool, postgres::PgPoolOptions};
use tests::{
    RunningRelay, TestNamespace, database, empty_database, engines, eventually, log_events::discovered_event,
    read_positions_by_aggregate, topics,
};

#[tokio::test]
async fn a_log_copied_into_another_database_is_refused_until_it_is_recovered() {
    let (pool, kafka) = (database().await, topics().await);
    PgBatchStore::new(pool.clone())
        .append_events(vec![discovered_event("a", 1), discovered_event("a", 2)])
        .await
        .unwrap();
    let copy = clone_database(&pool).await;

    let relay = RunningRelay::start(&copy, &kafka).await;
    let error = relay.wait_for_error().await;
    relay.stop().await;
    assert!(error.contains("was restored or cloned") && error.contains("medhub recover"), "{error}");
    assert!(read_positions_by_aggregate(&kafka).await.is_empty());

    eventstore::relay::recover_log(&copy, &kafka).await.unwrap();
    let relay = RunningRelay::start(&copy, &kafka).await;
    relay.wait_until_published(2).await;
    relay.stop().await;
    assert_eq!(read_positions_by_aggregate(&kafka).await["a"], [1, 2]);
}

#[tokio::test]
async fn a_dump_restored_elsewhere_is_refused() {
    let Some(programs) = find_client_programs() else {
        println!("skipped: no pg_dump on this machine; the test of a cloned database still runs");
        return;
    };
    let (from, to) = (empty_database(&TestNamespace::new()).await, empty_database(&TestNamespace::new()).await);
    let (pool, kafka) = (PgPool::connect(&from).await.unwrap(), topics().await);
    eventstore::schema_migration::migrate(&pool).await.unwrap();
    PgBatchStore::new(pool).append_events(vec![discovered_event("a", 1)]).await.unwrap();
    let pipe = format!("{programs}pg_dump '{from}' | {programs}psql -q -v ON_ERROR_STOP=1 '{to}'");
    let restored = Command::new("sh").args(["-c", &pipe]).output().unwrap();
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));

    let copy = PgPoolOptions::new().max_connections(4).connect(&to).await.unwrap();
    let relay = RunningRelay::start(&copy, &kafka).await;
    let error = relay.wait_for_error().await;
    relay.stop().await;

    assert!(error.contains("was restored or cloned"), "{error}");
}

/// Copies the database to one of another name, as a restore of a dump does.
async fn clone_database(pool: &PgPool) -> PgPool {
    let admin = engines().await.variable("DATABASE_URL");
    let (from, to) = (pool.connect_options().get_database().unwrap().to_owned(), TestNamespace::new());
    pool.close().await;
    let mut connection = PgConnection::connect(admin).await.unwrap();
    // A template database must have no sessions, and the pool may leave one open until its time-out.
    eventually(async || {
        let sessions: Vec<bool> =
            sqlx::query_scalar("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1")
                .bind(&from)
                .fetch_all(&mut connection)
                .await
                .unwrap();
        if sessions.is_empty() { Ok(()) } else { Err(format!("{} sessions in {from}", sessions.len())) }
    })
    .await;
    connection.execute(format!("create database {} template {from}", to.name()).as_str()).await.unwrap();
    PgPoolOptions::new().max_connections(8).connect(&to.database_url(admin).unwrap()).await.unwrap()
}

/// The path before the names of `pg_dump` and `psql`: a folder, or empty if they are on the path.
fn find_client_programs() -> Option<String> {
    let runs = |folder: &str| Command::new(format!("{folder}pg_dump")).arg("--version").output().is_ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = installed.map(|folder| format!("{}/bin/", folder.path().display())).collect();
    folders.push(String::new());
    folders.into_iter().find(|folder| runs(folder))
}
