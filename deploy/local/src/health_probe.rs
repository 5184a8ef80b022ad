//! Health probes: an engine is up if it answers one real protocol call.

use std::{sync::LazyLock, time::Duration};

use anyhow::{Context as _, bail};
use engine_security::install_crypto_provider;
use qdrant_client::Qdrant;
use rdkafka::{
    ClientConfig,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer as _},
};
use sqlx::{Connection as _, postgres::PgConnection};
use tokio::time::timeout;

use crate::engine::EngineKind;

/// Time limit of one call.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Created once, because each client reads all authorities of the system. It keeps no connections: the server of the next
/// probe may be another process on the same port.
static HTTP_CLIENT: LazyLock<reqwest::Client> =
    LazyLock::new(|| reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap_or_default());

/// A server to probe.
#[derive(Debug, Clone)]
pub enum HealthProbe {
    /// An engine at the URL that its environment variable would hold.
    Engine(EngineKind, String),
    /// The product at its HTTP address.
    Product(String),
}

impl HealthProbe {
    /// Probes once and returns the server's version, empty if the server does not report one.
    ///
    /// # Errors
    /// If no response arrives in time, or the response is an error.
    pub async fn check_health(&self) -> anyhow::Result<String> {
        let response = async {
            match self {
                Self::Engine(EngineKind::Postgres, url) => probe_postgres(url).await,
                Self::Engine(EngineKind::Registry, url) => probe_registry(url).await,
                Self::Engine(EngineKind::Redis, url) => probe_redis(url).await,
                Self::Engine(EngineKind::Kafka, brokers) => probe_kafka(brokers.clone()).await,
                Self::Engine(EngineKind::ClickHouse, url) => probe_clickhouse(url).await,
                Self::Engine(EngineKind::Qdrant, url) => probe_qdrant(url).await,
                Self::Product(address) => probe_product(address).await,
            }
        };
        timeout(PROBE_TIMEOUT, response).await.context("no response in time")?
    }
}

async fn probe_postgres(url: &str) -> anyhow::Result<String> {
    let mut connection = PgConnection::connect(url).await.context("connecting to postgres")?;
    let version: String = sqlx::query_scalar("show server_version").fetch_one(&mut connection).await?;
    connection.close().await.context("closing the connection to postgres")?;
    // Debian appends the package's name to the version.
    Ok(version.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Returns no version: Confluent's API does not report one.
async fn probe_registry(url: &str) -> anyhow::Result<String> {
    let response = HTTP_CLIENT.get(format!("{}/subjects", url.trim_end_matches('/'))).send().await;
    // The URL in an error would reveal its password.
    let response = response.map_err(reqwest::Error::without_url).context("connecting to the schema registry")?;
    let response = response.error_for_status().map_err(reqwest::Error::without_url);
    let subjects = response.context("listing the schema registry's subjects")?.json::<Vec<String>>().await;
    subjects.map_err(reqwest::Error::without_url).context("reading the schema registry's response")?;
    Ok(String::new())
}

async fn probe_redis(url: &str) -> anyhow::Result<String> {
    // With TLS, the client takes the provider of the process, and panics without one.
    install_crypto_provider();
    let client = ::redis::Client::open(url).context("reading the Redis URL")?;
    let mut connection = client.get_multiplexed_async_connection().await.context("connecting to redis")?;
    let info: String = ::redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
    Ok(version.unwrap_or_default().trim().to_owned())
}

/// Requests metadata, since the broker accepts connections before it leads any partition.
async fn probe_kafka(brokers: String) -> anyhow::Result<String> {
    let first = brokers.split(',').next().unwrap_or_default().to_owned();
    // While no broker listens yet, a full client would only retry and log errors.
    tokio::net::TcpStream::connect(&first).await.with_context(|| format!("connecting to kafka at {first}"))?;
    let fetch_metadata = move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("socket.timeout.ms", "3000")
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create()
            .context("creating a Kafka client")?;
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(3)).context("fetching kafka's metadata")?;
        if metadata.brokers().is_empty() {
            bail!("kafka's metadata contains no broker");
        }
        Ok(String::new())
    };
    tokio::task::spawn_blocking(fetch_metadata).await.context("waiting for the Kafka client")?
}

async fn probe_clickhouse(url: &str) -> anyhow::Result<String> {
    let request = HTTP_CLIENT.post(url).body("select version()");
    let response = request.send().await.context("connecting to clickhouse")?;
    let response = response.error_for_status().context("querying clickhouse")?;
    Ok(response.text().await.context("reading clickhouse's response")?.trim().to_owned())
}

async fn probe_qdrant(url: &str) -> anyhow::Result<String> {
    let client = Qdrant::from_url(url).skip_compatibility_check().build().context("reading the Qdrant URL")?;
    Ok(client.health_check().await.context("calling qdrant's health check")?.version)
}

async fn probe_product(address: &str) -> anyhow::Result<String> {
    let response = HTTP_CLIENT.get(format!("{address}/ready")).send().await.context("connecting to the product")?;
    let status = response.status();
    if status.is_success() {
        return Ok(env!("CARGO_PKG_VERSION").to_owned());
    }
    bail!("the product is not ready ({status}): {}", response.text().await.unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_redis_with_tls_that_hangs_up_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("rediss://{}", listener.local_addr().unwrap());
        let (probed, accepted) = tokio::join!(probe_redis(&url), async { listener.accept().await.map(drop) });
        accepted.unwrap();
        probed.unwrap_err();
    }
}
