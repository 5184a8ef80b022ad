//! Versions of the engines, and settings of theirs that affect the figures.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use api::config::EngineConfig;
use qdrant_client::Qdrant;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

/// How long an engine may take to answer; without an answer its version is missing in the report.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of Postgres that decide what a commit costs.
const POSTGRES_SETTINGS: [&str; 3] = ["fsync", "synchronous_commit", "shared_buffers"];

/// Asks each engine. The version of the broker is not part of Kafka's protocol; that of the client library is known.
pub(super) async fn load_engine_versions(config: &EngineConfig) -> BTreeMap<String, String> {
    let (postgres, clickhouse, qdrant, redis) = tokio::join!(
        timeout(ANSWER_TIMEOUT, load_postgres_version(config)),
        timeout(ANSWER_TIMEOUT, load_clickhouse_version(config)),
        timeout(ANSWER_TIMEOUT, load_qdrant_version(config)),
        timeout(ANSWER_TIMEOUT, load_redis_version(config)),
    );
    let named = [("Postgres", postgres), ("ClickHouse", clickhouse), ("Qdrant", qdrant), ("Redis", redis)];
    let mut versions = BTreeMap::from([("librdkafka".to_owned(), rdkafka::util::get_rdkafka_version().1)]);
    for (name, answer) in named {
        match answer {
            Ok(Ok(version)) => {
                versions.insert(name.to_owned(), version);
            }
            Ok(Err(error)) => tracing::warn!(engine = name, error = &*error.to_string(), "no version of an engine"),
            Err(_late) => tracing::warn!(engine = name, "no version of an engine: no answer in time"),
        }
    }
    versions
}

async fn load_postgres_version(config: &EngineConfig) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(config.postgres.url.expose_secret()).await?;
    let mut version: String = sqlx::query_scalar("show server_version").fetch_one(&mut connection).await?;
    for setting in POSTGRES_SETTINGS {
        let value: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&mut connection).await?;
        version = format!("{version}, {setting} {value}");
    }
    connection.close().await?;
    Ok(version)
}

async fn load_clickhouse_version(config: &EngineConfig) -> anyhow::Result<String> {
    let request = reqwest::Client::new().post(&config.clickhouse.url).body("select version() format TSV");
    let response = request.send().await.and_then(reqwest::Response::error_for_status);
    let version = response.map_err(reqwest::Error::without_url)?.text().await?;
    Ok(version.trim().to_owned())
}

async fn load_qdrant_version(config: &EngineConfig) -> anyhow::Result<String> {
    let client = Qdrant::from_url(&config.qdrant.url).skip_compatibility_check().build()?;
    Ok(Box::pin(client.health_check()).await?.version)
}

async fn load_redis_version(config: &EngineConfig) -> anyhow::Result<String> {
    let client = config.redis.open_client()?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    version.map(str::trim).map(str::to_owned).context("the server does not report its version")
}
