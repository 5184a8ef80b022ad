//! The relay as a process of the product: what it logs and what Prometheus reads.

use std::{fs, process::Stdio, time::Duration};

use sqlx::{Connection, Executor, PgConnection};
use tests::{eventually, medhub_local};

use super::PATIENCE;
use crate::eventstore::{database, insert};

#[tokio::test]
async fn an_open_append_that_holds_the_relay_up_is_in_the_log_and_in_the_metrics() {
    let engines = tests::engines().await;
    let pool = database().await;
    let mut url = reqwest::Url::parse(&engines.url("DATABASE_URL")).unwrap();
    url.set_path(pool.connect_options().get_database().unwrap());
    let topics = format!("t-{}", uuid::Uuid::new_v4().simple());
    let kafka = eventstore::topic::KafkaConfig {
        brokers: engines.url("KAFKA_BROKERS"),
        topic_prefix: topics.clone(),
        ..Default::default()
    };
    eventstore::topic::ensure(&kafka).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("relay.log");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let http = format!("127.0.0.1:{port}");
    let mut relay = tokio::process::Command::new(medhub_local())
        .args(["product", "serve", "--role", "relay"])
        .envs(engines.urls())
        .env("DATABASE_URL", url.as_str())
        .env("MEDHUB__KAFKA__TOPIC_PREFIX", &topics)
        .env("MEDHUB__RELAY__SLOW_APPEND_MS", "300")
        .env("MEDHUB__HTTP__LISTEN", &http)
        .env("MEDHUB__GRPC__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();

    let mut slow = PgConnection::connect(url.as_str()).await.unwrap();
    slow.execute("set application_name = 'forgetful'; begin").await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut slow).await.unwrap();
    insert(&mut slow, "a", 1).await;

    let named = |text: &str| {
        let wanted = [pid.to_string(), "forgetful".to_owned(), "insert into events".to_owned()];
        wanted.iter().all(|word| text.contains(word))
    };
    eventually(PATIENCE, async || {
        let metrics = async { reqwest::get(format!("http://{http}/metrics")).await?.text().await };
        let metrics = metrics.await.map_err(|error| error.to_string())?;
        let line = metrics.lines().find(|line| line.starts_with("medhub_relay_open_append_age_seconds{"));
        if line.is_some_and(&named) { Ok(()) } else { Err(metrics) }
    })
    .await;
    let told = fs::read_to_string(&log).unwrap();
    let line = told.lines().find(|line| line.contains("an open append holds the relay up")).unwrap();
    assert!(named(line) && line.contains("age_s"), "{line}");

    slow.execute("rollback").await.unwrap();
    eventually(PATIENCE, async || {
        let told = fs::read_to_string(&log).unwrap();
        if told.contains("the append that held the relay up has ended") { Ok(()) } else { Err(told) }
    })
    .await;
    let pid = i32::try_from(relay.id().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), relay.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "a relay that is told to stop stops in good order: {ended}");
}
