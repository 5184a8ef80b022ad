//! `ClickHouse`: the same rows in its binary format over HTTP, in inserts of as many rows.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use projections::runtime::Generation;
use reqwest::{Client, Url};

use super::Raw;
use crate::bench::field::Field;

/// Rows of one insert, as many as a rebuild writes together.
const ROWS: u64 = 20_000;

pub(super) async fn write(field: &Field, generation: Generation) -> anyhow::Result<Raw> {
    let server = Server::of(&field.config.clickhouse.url)?;
    let (from, to) = (format!("{}_{generation}", field.name), format!("{}_raw", field.name));
    server.ask(format!("create database {to}")).await?;
    let outcome = copy(&server, &from, &to).await;
    server.ask(format!("drop database {to}")).await?;
    let (elapsed, rows) = outcome?;
    Ok(Raw { elapsed, rows, is: "inserts of the same rows in RowBinary over HTTP, 20,000 rows each" })
}

pub(super) async fn remove(url: &str, database: &str) -> anyhow::Result<()> {
    Server::of(url)?.ask(format!("drop database if exists {database}")).await.map(drop)
}

async fn copy(server: &Server, from: &str, to: &str) -> anyhow::Result<(Duration, u64)> {
    let tables = server
        .ask(format!(
            "select name from system.tables where database = '{from}' and engine = 'ReplacingMergeTree' \
             and name <> 'schema_migrations' order by name format TSV"
        ))
        .await?;
    let (mut elapsed, mut rows) = (Duration::ZERO, 0);
    for table in String::from_utf8(tables)?.lines() {
        server.ask(format!("create table {to}.{table} as {from}.{table}")).await?;
        let count = server.ask(format!("select count() from {from}.{table} final format TSV")).await?;
        let count: u64 = String::from_utf8(count)?.trim().parse().context("counting rows")?;
        rows += count;
        for offset in (0..count).step_by(usize::try_from(ROWS)?) {
            let part =
                format!("select * from {from}.{table} final order by all limit {offset}, {ROWS} format RowBinary");
            let body = server.ask(part).await?;
            let started = Instant::now();
            server.insert(&format!("insert into {to}.{table} format RowBinary"), body).await?;
            elapsed += started.elapsed();
        }
    }
    Ok((elapsed, rows))
}

struct Server {
    http: Client,
    url: Url,
}

impl Server {
    fn of(url: &str) -> anyhow::Result<Self> {
        Ok(Self { http: Client::new(), url: Url::parse(url).context("reading clickhouse.url")? })
    }

    async fn ask(&self, statement: String) -> anyhow::Result<Vec<u8>> {
        self.send(self.url.clone(), statement.into_bytes()).await
    }

    async fn insert(&self, statement: &str, rows: Vec<u8>) -> anyhow::Result<()> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("query", statement);
        self.send(url, rows).await.map(drop)
    }

    async fn send(&self, url: Url, body: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let answer = self.http.post(url).body(body).send().await.map_err(reqwest::Error::without_url)?;
        let (status, bytes) = (answer.status(), answer.bytes().await?);
        ensure!(status.is_success(), "ClickHouse answers {status}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes.into())
    }
}
