//! The local ClickHouse through the crate `clickhouse`.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clickhouse::{Client, Row, error::Error};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{child_process::ChildProcess, process::start_engine};

#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
struct InsertedNotice {
    id: u64,
    title: String,
    tags: Vec<String>,
    award_cents: Option<i64>,
}

const CREATE_TABLE: &str = "create table notices (id UInt64, title String, tags Array(LowCardinality(String)), \
    award_cents Nullable(Int64), noted DateTime64(3) default now64(3)) engine = ReplacingMergeTree order by id \
    settings non_replicated_deduplication_window = 1000";

fn create_notice(id: u64) -> InsertedNotice {
    // Every ASCII byte, among them those that the engine corrupts in data that is part of the statement.
    let special_byte: String = char::from(u8::try_from(id % 128).unwrap()).into();
    InsertedNotice {
        id,
        title: format!("wheelchairs; FORMAT '{special_byte}' \\ \n--"),
        tags: vec!["medical".to_owned(); usize::try_from(id % 3).unwrap()],
        award_cents: id.is_multiple_of(2).then(|| i64::try_from(id).unwrap()),
    }
}

pub(crate) fn create_client(process: &ChildProcess) -> Client {
    Client::default().with_url(format!("http://{}", process.address)).with_user("default").with_password("secret")
}

async fn start_with_table(folder: &Path) -> (ChildProcess, Client) {
    let process = start_engine(folder).await;
    let admin = create_client(&process);
    admin.query("create database medhub").execute().await.unwrap();
    let client = admin.with_database("medhub");
    client.query(CREATE_TABLE).execute().await.unwrap();
    (process, client)
}

async fn insert_notices(client: &Client, rows: std::ops::Range<u64>) {
    let mut insert = client.insert::<InsertedNotice>("notices").await.unwrap();
    for id in rows {
        insert.write(&create_notice(id)).await.unwrap();
    }
    insert.end().await.unwrap();
}

async fn count_notices(client: &Client) -> u64 {
    client.query("select count() from notices").fetch_one().await.unwrap()
}

#[tokio::test]
async fn half_a_million_inserted_rows_are_read_back_unchanged() {
    let folder = TempDir::new().unwrap();
    let (process, client) = start_with_table(folder.path()).await;
    let started = Instant::now();
    insert_notices(&client, 0..500_000).await;
    println!("clickhouse: 500,000 rows inserted in {:?}", started.elapsed());
    let started = Instant::now();
    let mut cursor = client.query("select ?fields from notices order by id").fetch::<InsertedNotice>().unwrap();
    let mut id = 0;
    while let Some(read) = cursor.next().await.unwrap() {
        assert_eq!(read, create_notice(id));
        id += 1;
    }
    assert_eq!(id, 500_000);
    println!("clickhouse: read back in {:?}, {} MiB resident", started.elapsed(), process.resident_mib());
    process.stop().await;
}

#[tokio::test]
async fn small_selects_accept_bound_values_and_parameters() {
    let folder = TempDir::new().unwrap();
    let (process, client) = start_with_table(folder.path()).await;
    insert_notices(&client, 0..10).await;
    let title = create_notice(7).title;
    let bound: InsertedNotice =
        client.query("select ?fields from notices where title = ?").bind(&title).fetch_one().await.unwrap();
    assert_eq!(bound, create_notice(7));
    let query = "select ?fields from notices where title = {title: String} and id in {ids: Array(UInt64)}";
    let named: Vec<InsertedNotice> =
        client.query(query).param("title", &title).param("ids", vec![6_u64, 7]).fetch_all().await.unwrap();
    assert_eq!(named, [create_notice(7)]);
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        count_notices(&client).await;
        times.push(started.elapsed());
    }
    times.sort();
    println!(
        "clickhouse: small select p50 {:?}, p99 {:?}; ready after {:?}",
        times[100], times[198], process.ready_after
    );
}

#[tokio::test]
async fn a_row_that_does_not_fit_the_table_is_refused() {
    #[derive(Row, Serialize)]
    struct MismatchedRow {
        id: String,
    }
    let folder = TempDir::new().unwrap();
    let (_process, client) = start_with_table(folder.path()).await;
    let refused = match client.insert::<MismatchedRow>("notices").await {
        Ok(mut insert) => match insert.write(&MismatchedRow { id: "x".to_owned() }).await {
            Ok(()) => insert.end().await,
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(Error::SchemaMismatch(_))), "{refused:?}");
    assert_eq!(count_notices(&client).await, 0);
}

#[tokio::test]
async fn the_same_deduplication_token_inserts_once() {
    let folder = TempDir::new().unwrap();
    let (_process, client) = start_with_table(folder.path()).await;
    for (token, expected) in [("a", 1000), ("a", 1000), ("b", 2000)] {
        insert_notices(&client.clone().with_setting("insert_deduplication_token", token), 0..1000).await;
        let raw: u64 = client
            .query("select sum(rows) from system.parts where active and table = 'notices'")
            .fetch_one()
            .await
            .unwrap();
        assert_eq!(raw, expected, "after token {token}");
    }
}

#[tokio::test]
async fn acknowledged_rows_survive_a_kill_and_a_clean_stop() {
    let folder = TempDir::new().unwrap();
    let (process, client) = start_with_table(folder.path()).await;
    insert_notices(&client, 0..20_000).await;
    process.kill();
    let process = start_engine(folder.path()).await;
    let client = create_client(&process).with_database("medhub");
    assert_eq!(count_notices(&client).await, 20_000);
    insert_notices(&client, 20_000..20_010).await;
    process.stop().await;
    let process = start_engine(folder.path()).await;
    assert_eq!(count_notices(&create_client(&process).with_database("medhub")).await, 20_010);
}

#[tokio::test]
async fn an_interrupted_insert_adds_no_rows() {
    let folder = TempDir::new().unwrap();
    let (_process, client) = start_with_table(folder.path()).await;
    let mut interrupted = client.insert::<InsertedNotice>("notices").await.unwrap();
    for id in 0..100_000 {
        interrupted.write(&create_notice(id)).await.unwrap();
    }
    drop(interrupted);
    insert_notices(&client, 0..5).await;
    assert_eq!(count_notices(&client).await, 5);
}

#[tokio::test]
async fn a_statement_that_fails_halfway_returns_an_error_and_no_short_result() {
    let folder = TempDir::new().unwrap();
    let (_process, client) = start_with_table(folder.path()).await;
    let query = "select number, throwIf(number = 3000000, 'halfway') as t from numbers(10000000)";
    let mut cursor = client.query(query).fetch::<(u64, u8)>().unwrap();
    let mut rows = 0;
    let failure = loop {
        match cursor.next().await {
            Ok(Some(_)) => rows += 1,
            Ok(None) => panic!("a short result after {rows} rows"),
            Err(error) => break error,
        }
    };
    assert!(rows > 100_000, "{rows}");
    assert!(failure.to_string().contains("halfway"), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_run_concurrently() {
    let folder = TempDir::new().unwrap();
    let (process, client) = start_with_table(folder.path()).await;
    let started = Instant::now();
    let sleeping = (0..4).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.query("select sleep(1)").fetch_one::<u8>().await.unwrap() })
    });
    for task in sleeping.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert!(started.elapsed() < Duration::from_secs(3), "not concurrent: {:?}", started.elapsed());
    drop(process);
}
