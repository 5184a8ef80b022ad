//! `ClickHouse`: writes the same rows in its binary format over HTTP, in inserts of the same size.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use projections::runtime::ReadModelGeneration;
use reqwest::{Client, Url};

use super::BaselineRun;
use crate::bench_environment::BenchEnvironment;

/// Rows per insert, as many as a rebuild writes at once.
const INSERT_ROWS: u64 = 20_000;

pub(super) async fn write_baseline(
    environment: &BenchEnvironment,
    generation: ReadModelGeneration,
) -> anyhow::Result<BaselineRun> {
    let server = RawClickHouseClient::from_url(&environment.config.clickhouse.url)?;
    let (from, to) = (format!("{}_{generation}", environment.name_prefix), format!("{}_raw", environment.name_prefix));
    server.query(format!("create database {to}")).await?;
    let outcome = copy_tables(&server, &from, &to).await;
    server.query(format!("drop database {to}")).await?;
    let (elapsed, rows) = outcome?;
    Ok(BaselineRun { elapsed, rows, description: "inserts of the same rows in RowBinary over HTTP, 20,000 rows each" })
}

pub(super) async fn drop_database(url: &str, database: &str) -> anyhow::Result<()> {
    RawClickHouseClient::from_url(url)?.query(format!("drop database if exists {database}")).await.map(drop)
}

async fn copy_tables(server: &RawClickHouseClient, from: &str, to: &str) -> anyhow::Result<(Duration, u64)> {
    let tables = server
        .query(format!(
            "select name from system.tables where database = '{from}' and engine = 'ReplacingMergeTree' \
             and name <> 'schema_migrations' order by name format TSV"
        ))
        .await?;
    let (mut elapsed, mut rows) = (Duration::ZERO, 0);
    for table in String::from_utf8(tables)?.lines() {
        server.query(format!("create table {to}.{table} as {from}.{table}")).await?;
        let count = server.query(format!("select count() from {from}.{table} final format TSV")).await?;
        let count: u64 = String::from_utf8(count)?.trim().parse().context("counting rows")?;
        rows += count;
        for offset in (0..count).step_by(usize::try_from(INSERT_ROWS)?) {
            let select = format!(
                "select * from {from}.{table} final order by all limit {offset}, {INSERT_ROWS} format RowBinary"
            );
            let body = server.query(select).await?;
            let started = Instant::now();
            server.insert_rows(&format!("insert into {to}.{table} format RowBinary"), body).await?;
            elapsed += started.elapsed();
        }
    }
    Ok((elapsed, rows))
}

struct RawClickHouseClient {
    http: Client,
    url: Url,
}

impl RawClickHouseClient {
    fn from_url(url: &str) -> anyhow::Result<Self> {
        Ok(Self { http: Client::new(), url: Url::parse(url).context("reading clickhouse.url")? })
    }

    async fn query(&self, statement: String) -> anyhow::Result<Vec<u8>> {
        self.post_statement(self.url.clone(), statement.into_bytes()).await
    }

    async fn insert_rows(&self, statement: &str, rows: Vec<u8>) -> anyhow::Result<()> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("query", statement);
        self.post_statement(url, rows).await.map(drop)
    }

    async fn post_statement(&self, url: Url, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let response = self.http.post(url).body(body).send().await.map_err(reqwest::Error::without_url)?;
        let (status, bytes) = (response.status(), response.bytes().await?);
        ensure!(status.is_success(), "ClickHouse responded with {status}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes.into())
    }
}
