//! A test's own parts of the write side: a database, topics, a client of the schema registry.

use std::{ops::Deref, thread};

use domain::context::BoundedContext;
use eventstore::{postgres::PostgresConfig, topic::KafkaConfig};
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use schemas::registry_client::{RegistryConfig, SchemaRegistryClient};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

use crate::{TestNamespace, engines, failure::or_fail};

/// A migrated database of the test's own.
///
/// # Panics
/// If Postgres refuses or is unavailable.
pub async fn database() -> PgPool {
    let url = empty_database(&TestNamespace::new()).await;
    let config = PostgresConfig { url: url.into(), max_connections: 8, ..PostgresConfig::default() };
    let pool = or_fail(eventstore::postgres::open_pool(&config), "connecting to a database");
    or_fail(eventstore::postgres::migrate(&pool).await, "migrating a database");
    pool
}

/// Creates the namespace's database without tables, and returns its URL.
///
/// # Panics
/// If Postgres refuses or is unavailable.
pub async fn empty_database(namespace: &TestNamespace) -> String {
    let admin = engines().await.variable("DATABASE_URL");
    create_database(admin, namespace.name()).await;
    or_fail(namespace.database_url(admin), "reading the database's URL")
}

/// Creates an empty database.
pub(crate) async fn create_database(admin: &str, name: &str) {
    let mut connection = or_fail(PgConnection::connect(admin).await, "connecting to Postgres");
    or_fail(connection.execute(format!("create database {name}").as_str()).await, "creating a database");
    or_fail(connection.close().await, "closing a connection");
}

/// Topics of a test's own, deleted when dropped.
#[derive(Debug)]
pub struct TestTopics {
    config: KafkaConfig,
}

impl Deref for TestTopics {
    type Target = KafkaConfig;

    fn deref(&self) -> &KafkaConfig {
        &self.config
    }
}

impl Drop for TestTopics {
    fn drop(&mut self) {
        delete_topics(&self.config.brokers, &self.config.topic_prefix);
    }
}

/// Creates topics of the test's own.
///
/// # Panics
/// If Kafka refuses or is unavailable.
pub async fn topics() -> TestTopics {
    let config = KafkaConfig {
        brokers: engines().await.variable("KAFKA_BROKERS").to_owned(),
        topic_prefix: TestNamespace::new().topic_prefix().to_owned(),
        ..KafkaConfig::default()
    };
    or_fail(eventstore::topic::ensure_topics(&config).await, "creating topics");
    TestTopics { config }
}

/// Deletes the topics of a namespace, so that brokers and clients do not process those of finished tests. Best effort,
/// on a thread of its own that nothing waits for.
pub(crate) fn delete_topics(brokers: &str, topic_prefix: &str) {
    let config =
        KafkaConfig { brokers: brokers.to_owned(), topic_prefix: topic_prefix.to_owned(), ..KafkaConfig::default() };
    thread::spawn(move || {
        let Ok(admin) = config.client_config().create::<AdminClient<DefaultClientContext>>() else { return };
        let names: Vec<_> = BoundedContext::ALL
            .iter()
            .flat_map(|context| [context.topic(&config.topic_prefix), context.dead_letter_topic(&config.topic_prefix)])
            .collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let deleted = futures::executor::block_on(admin.delete_topics(&names, &AdminOptions::new()));
        drop(deleted);
    });
}

/// A client of the shared schema registry.
pub async fn registry() -> SchemaRegistryClient {
    SchemaRegistryClient::new(&RegistryConfig {
        url: engines().await.variable("SCHEMA_REGISTRY_URL").to_owned(),
        ..RegistryConfig::default()
    })
}
