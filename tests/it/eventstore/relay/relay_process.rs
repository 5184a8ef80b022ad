//! The relay as a process of the product: its log messages and metrics.

use std::fs;

use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use tests::{ProductEdge, ProductProcess, database, engines, eventually, log_events::insert_event, topics};

#[tokio::test]
async fn an_open_append_that_delays_the_relay_is_in_the_log_and_in_the_metrics() {
    let (pool, kafka) = (database().await, topics().await);
    let url = pool.connect_options().to_url_lossy().to_string();
    let mut variables = engines().await.variables().clone();
    for (name, value) in [
        ("DATABASE_URL", &*url),
        ("MEDHUB__KAFKA__TOPIC_PREFIX", &*kafka.topic_prefix),
        ("MEDHUB__RELAY__SLOW_APPEND_MS", "300"),
    ] {
        variables.insert(name.to_owned(), value.to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut relay = ProductProcess::start(&variables, folder.path(), "relay", &["serve", "--role", "relay"]).unwrap();
    let http = relay.wait_for_address(ProductEdge::Http).await.unwrap();
    let log = || fs::read_to_string(folder.path().join("relay.log")).unwrap();

    let mut slow = PgConnection::connect(&url).await.unwrap();
    slow.execute("set application_name = 'forgetful'; begin").await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut slow).await.unwrap();
    insert_event(&mut slow, "a", 1).await;

    let names_it = |text: &str| {
        let expected = [pid.to_string(), "forgetful".to_owned(), "insert into events".to_owned()];
        expected.iter().all(|word| text.contains(word))
    };
    eventually(async || {
        let metrics = async { reqwest::get(format!("http://{http}/metrics")).await?.text().await };
        let metrics = metrics.await.map_err(|error| error.to_string())?;
        let age = metrics.lines().find_map(|line| line.strip_prefix("medhub_relay_open_append_age_seconds "));
        if age.is_some_and(|age| age != "0") { Ok(()) } else { Err(metrics) }
    })
    .await;
    let line = eventually(async || {
        let log = log();
        let line = log.lines().find(|line| line.contains("an open append delays the relay"));
        line.map(str::to_owned).ok_or(log)
    })
    .await;
    assert!(names_it(&line) && line.contains("age_s"), "{line}");

    slow.execute("rollback").await.unwrap();
    eventually(async || {
        let log = log();
        if log.contains("the append that delayed the relay has ended") { Ok(()) } else { Err(log) }
    })
    .await;
    relay.stop().await.expect("the relay stops gracefully");
}
