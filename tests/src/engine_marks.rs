//! A word written into every engine and read back later, to check that engines keep data over crashes and restarts.

use anyhow::{Context as _, bail};
use qdrant_client::{
    Payload, Qdrant,
    qdrant::{
        CountPointsBuilder, CreateCollectionBuilder, Distance, PointStruct, UpsertPointsBuilder, VectorParamsBuilder,
    },
};
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    consumer::{BaseConsumer, Consumer as _},
    producer::{FutureProducer, FutureRecord},
};
use sqlx::{Connection as _, PgConnection};

use crate::{TestStack, WAIT_TIMEOUT};

/// Writes `word` into all engines and waits until each has acknowledged it.
///
/// # Errors
/// If an engine refuses or is unavailable.
pub async fn write_mark(stack: &TestStack, word: &str) -> anyhow::Result<()> {
    let mut postgres = PgConnection::connect(stack.variable("DATABASE_URL")).await?;
    sqlx::raw_sql(&format!("create table {word} (word text); insert into {word} values ('{word}')"))
        .execute(&mut postgres)
        .await
        .context("writing to postgres")?;
    let client = redis::Client::open(stack.variable("REDIS_URL").to_owned())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    redis::cmd("SET").arg(word).arg(word).exec_async(&mut redis).await.context("writing to redis")?;
    write_registry(stack.variable("SCHEMA_REGISTRY_URL"), word).await.context("writing to the schema registry")?;
    write_kafka(stack.variable("KAFKA_BROKERS"), word).await.context("writing to kafka")?;
    let clickhouse = stack.variable("CLICKHOUSE_URL").to_owned();
    query_clickhouse(&clickhouse, &format!("create table {word} (word String) engine = MergeTree order by word"))
        .await?;
    query_clickhouse(&clickhouse, &format!("insert into {word} values ('{word}')")).await?;
    write_qdrant(stack.variable("QDRANT_URL"), word).await.context("writing to qdrant")
}

/// Checks that every engine holds `word` exactly once.
///
/// # Errors
/// If an engine refuses or is unavailable.
pub async fn check_mark(stack: &TestStack, word: &str) -> anyhow::Result<()> {
    let mut postgres = PgConnection::connect(stack.variable("DATABASE_URL")).await?;
    let rows: i64 = sqlx::query_scalar(&format!("select count(*) from {word} where word = '{word}'"))
        .fetch_one(&mut postgres)
        .await
        .context("reading from postgres")?;
    ensure_once("postgres", rows)?;
    let client = redis::Client::open(stack.variable("REDIS_URL").to_owned())?;
    let mut redis = client.get_multiplexed_async_connection().await?;
    let keys = redis::cmd("EXISTS").arg(word).query_async(&mut redis).await.context("reading from redis")?;
    ensure_once("redis", keys)?;
    let versions = crate::new_http_client()
        .get(versions_url(stack.variable("SCHEMA_REGISTRY_URL"), word))
        .send()
        .await?
        .error_for_status()?;
    let versions: Vec<i64> = versions.json().await.context("reading from the schema registry")?;
    ensure_once("the schema registry", i64::try_from(versions.len())?)?;
    let (brokers, topic) = (stack.variable("KAFKA_BROKERS").to_owned(), word.to_owned());
    ensure_once("kafka", tokio::task::spawn_blocking(move || count_kafka(&brokers, &topic)).await??)?;
    let rows = query_clickhouse(stack.variable("CLICKHOUSE_URL"), &format!("select count() from {word}")).await?;
    ensure_once("clickhouse", rows.trim().parse()?)?;
    let qdrant = Qdrant::from_url(stack.variable("QDRANT_URL")).skip_compatibility_check().build()?;
    let response = qdrant.count(CountPointsBuilder::new(word).exact(true)).await.context("reading from qdrant")?;
    ensure_once("qdrant", response.result.context("qdrant returned no count")?.count.try_into()?)
}

fn ensure_once(engine: &str, count: i64) -> anyhow::Result<()> {
    if count == 1 { Ok(()) } else { bail!("{engine} holds the word {count} times") }
}

fn versions_url(url: &str, word: &str) -> String {
    format!("{url}/subjects/{word}/versions")
}

async fn write_registry(url: &str, word: &str) -> anyhow::Result<()> {
    let schema = format!(r#"{{"type":"fixed","name":"{word}","size":1}}"#);
    let request = crate::new_http_client().post(versions_url(url, word)).json(&serde_json::json!({ "schema": schema }));
    request.send().await?.error_for_status()?;
    Ok(())
}

/// Sends a statement to `ClickHouse` and returns the text of its answer.
///
/// # Errors
/// If an engine refuses or is unavailable.
pub async fn query_clickhouse(url: &str, statement: &str) -> anyhow::Result<String> {
    let answer = crate::new_http_client().post(url).body(statement.to_owned()).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    if status.is_success() { Ok(text) } else { bail!("clickhouse: {text}") }
}

async fn write_kafka(brokers: &str, word: &str) -> anyhow::Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers).set("acks", "all");
    let admin: AdminClient<_> = config.create()?;
    let topic = NewTopic::new(word, 1, TopicReplication::Fixed(1));
    for created in admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(WAIT_TIMEOUT))).await? {
        created.map_err(|(name, error)| anyhow::anyhow!("creating {name}: {error}"))?;
    }
    let producer: FutureProducer = config.create()?;
    let record = FutureRecord::<str, str>::to(word).payload(word).key(word);
    producer.send(record, WAIT_TIMEOUT).await.map_err(|(error, _)| error)?;
    Ok(())
}

fn count_kafka(brokers: &str, topic: &str) -> anyhow::Result<i64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", topic).create()?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, WAIT_TIMEOUT).context("asking kafka for watermarks")?;
    let mut first = TopicPartitionList::new();
    first.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&first)?;
    let message = consumer.poll(WAIT_TIMEOUT).context("kafka returned no record")??;
    if message.payload() != Some(topic.as_bytes()) {
        bail!("kafka holds a record that was not written here");
    }
    Ok(high - low)
}

async fn write_qdrant(url: &str, word: &str) -> anyhow::Result<()> {
    let qdrant = Qdrant::from_url(url).skip_compatibility_check().build()?;
    let vectors = VectorParamsBuilder::new(4, Distance::Cosine);
    qdrant.create_collection(CreateCollectionBuilder::new(word).vectors_config(vectors)).await?;
    let point = PointStruct::new(1, vec![0.1, 0.2, 0.3, 0.4], Payload::new());
    qdrant.upsert_points(UpsertPointsBuilder::new(word, vec![point]).wait(true)).await?;
    Ok(())
}
