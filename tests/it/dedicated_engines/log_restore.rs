//! A log that was restored from a base backup is a different log: the relay refuses to publish it until it is
//! recovered.

use std::{path::Path, process::Command};

use domain::event_store::BatchStore;
use eventstore::{append::PgBatchStore, topic::KafkaConfig};
use schemas::registry_client::{RegistryConfig, SchemaRegistryClient};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tests::{EnvironmentVariables, RunningRelay, TestStack, TopicRecord, log_events::discovered_event, read_records};

#[tokio::test]
async fn a_restored_base_backup_is_refused_even_after_it_has_grown_past_the_published_position() {
    let stack = TestStack::start_with(&["--only", "postgres,registry,kafka"], EnvironmentVariables::new()).await;
    let (pool, kafka) = connect_to_log(&stack).await;
    eventstore::schema_migration::migrate(&pool).await.unwrap();
    eventstore::topic::ensure_topics(&kafka).await.unwrap();
    append_events(&pool, "kept", 50).await;
    publish_until(&stack, &pool, &kafka, 50).await;
    pool.close().await;

    let (stack, _) = stack.stop().await;
    let folder = stack.data_folder().join("postgres");
    copy_folder(&folder, &stack.data_folder().join("backup"));
    let stack = stack.restart().await;
    let (pool, kafka) = connect_to_log(&stack).await;
    append_events(&pool, "lost", 50).await;
    publish_until(&stack, &pool, &kafka, 100).await;
    pool.close().await;

    let (stack, _) = stack.stop().await;
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::rename(stack.data_folder().join("backup"), &folder).unwrap();
    let stack = stack.restart().await;
    let (pool, kafka) = connect_to_log(&stack).await;
    // The published positions are assigned again, to other events.
    append_events(&pool, "new", 60).await;
    let relay =
        RunningRelay::start_with_registry(&pool, &kafka, &registry_client(&stack), RunningRelay::quick_config());
    let error = relay.wait_for_error_with("restored from a backup").await;
    relay.stop().await;
    assert!(error.contains("medhub recover"), "{error}");

    let refused = stack.run_medhub(&["recover"]).await;
    assert!(!refused.status.success(), "without --yes nothing is changed");
    let recovered = stack.run_medhub(&["recover", "--yes"]).await;
    assert!(recovered.status.success(), "{}", String::from_utf8_lossy(&recovered.stderr));
    let relay =
        RunningRelay::start_with_registry(&pool, &kafka, &registry_client(&stack), RunningRelay::quick_config());
    relay.wait_until_published(110).await;
    relay.stop().await;

    let events: Vec<_> = read_records(&kafka).await.into_iter().filter(TopicRecord::is_event).collect();
    let count = |kind: &str| events.iter().filter(|record| record.key.as_deref().unwrap().starts_with(kind)).count();
    assert_eq!((events.len(), count("kept"), count("lost"), count("new")), (110, 50, 0, 60));
}

async fn append_events(pool: &PgPool, kind: &str, events: u64) {
    let events = (0..events).map(|n| discovered_event(&format!("{kind}{n}"), 1)).collect();
    PgBatchStore::new(pool.clone()).append_events(events).await.unwrap();
}

async fn publish_until(stack: &TestStack, pool: &PgPool, kafka: &KafkaConfig, position: u64) {
    let relay = RunningRelay::start_with_registry(pool, kafka, &registry_client(stack), RunningRelay::quick_config());
    relay.wait_until_published(position).await;
    relay.stop().await;
}

async fn connect_to_log(stack: &TestStack) -> (PgPool, KafkaConfig) {
    let pool = PgPoolOptions::new().max_connections(8).connect(stack.variable("DATABASE_URL")).await.unwrap();
    (pool, KafkaConfig { brokers: stack.variable("KAFKA_BROKERS").to_owned(), ..KafkaConfig::default() })
}

fn registry_client(stack: &TestStack) -> SchemaRegistryClient {
    SchemaRegistryClient::new(&RegistryConfig {
        url: stack.variable("SCHEMA_REGISTRY_URL").to_owned(),
        ..RegistryConfig::default()
    })
    .unwrap()
}

/// Copies a folder with owners and times, which Postgres requires.
fn copy_folder(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(copied.success());
}
