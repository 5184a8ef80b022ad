//! A test's own parts of the write side: a database, topics, a client of the schema registry.

use std::{ops::Deref, thread};

use domain::context::BoundedContext;
use eventstore::{postgres::PostgresConfig, topic::KafkaConfig};
use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use schemas::registry_client::{RegistryConfig, SchemaRegistryClient};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::OnceCell;

use crate::{TestNamespace, engines, failure::or_fail};

/// A migrated database of the test's own.
///
/// # Panics
/// If Postgres refuses or is unavailable.
pub async fn database() -> PgPool {
    let (admin, namespace) = (engines().await.variable("DATABASE_URL"), TestNamespace::new());
    create_migrated_database(admin, &namespace).await;
    open_database(admin, &namespace)
}

/// The database that tests with schemas of their own share. Each test has a pool of its own, whose connections end with
/// the test.
///
/// # Panics
/// If Postgres's URL is invalid.
pub async fn shared_database() -> PgPool {
    let options = PgPoolOptions::new().max_connections(2);
    or_fail(options.connect_lazy(engines().await.variable("DATABASE_URL")), "reading the database's URL")
}

/// Creates the namespace's database without tables, and returns its URL.
///
/// # Panics
/// If Postgres refuses or is unavailable.
pub async fn empty_database(namespace: &TestNamespace) -> String {
    let admin = engines().await.variable("DATABASE_URL");
    create_database(admin, namespace.name(), "template1").await;
    or_fail(namespace.database_url(admin), "reading the database's URL")
}

/// Creates the namespace's database with the tables of this release: a copy of a database that is migrated once, which
/// takes a tenth of the time of a migration.
pub(crate) async fn create_migrated_database(admin: &str, namespace: &TestNamespace) {
    static TEMPLATE: OnceCell<TestNamespace> = OnceCell::const_new();
    let migrate_template = async || {
        let template = TestNamespace::new();
        create_database(admin, template.name(), "template1").await;
        let pool = open_database(admin, &template);
        or_fail(eventstore::schema_migration::migrate(&pool).await, "migrating a database");
        // A database with sessions cannot be copied.
        pool.close().await;
        template
    };
    let template = TEMPLATE.get_or_init(migrate_template).await;
    create_database(admin, namespace.name(), template.name()).await;
    // Otherwise the product takes the copy for a log that was restored elsewhere.
    let pool = open_database(admin, namespace);
    or_fail(eventstore::incarnation::renew_incarnation(&pool).await, "naming the log of a database");
    pool.close().await;
}

/// Makes autovacuum visit databases seldom: each test has one, and with hundreds of them, which all hold little, a worker
/// would start several times a second.
pub(crate) async fn slow_down_autovacuum(admin: &str) {
    let mut connection = or_fail(PgConnection::connect(admin).await, "connecting to Postgres");
    or_fail(connection.execute("alter system set autovacuum_naptime = '1h'").await, "changing a setting");
    or_fail(connection.execute("select pg_reload_conf()").await, "applying a setting");
    or_fail(connection.close().await, "closing a connection");
}

/// Creates a database as a copy of another.
async fn create_database(admin: &str, name: &str, template: &str) {
    let mut connection = or_fail(PgConnection::connect(admin).await, "connecting to Postgres");
    // Compressing the log of the copied pages would take most of the time.
    or_fail(connection.execute("set wal_compression = off").await, "changing a setting");
    let create = format!("create database {name} template {template}");
    or_fail(connection.execute(create.as_str()).await, "creating a database");
    or_fail(connection.close().await, "closing a connection");
}

fn open_database(admin: &str, namespace: &TestNamespace) -> PgPool {
    let url = or_fail(namespace.database_url(admin), "reading the database's URL");
    let config = PostgresConfig { url: url.into(), max_connections: 8, ..PostgresConfig::default() };
    or_fail(eventstore::postgres::open_pool(&config), "connecting to a database")
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
///
/// # Panics
/// If the client cannot be created.
pub async fn registry() -> SchemaRegistryClient {
    let url = engines().await.variable("SCHEMA_REGISTRY_URL").to_owned();
    let client = SchemaRegistryClient::new(&RegistryConfig { url, ..RegistryConfig::default() });
    or_fail(client, "creating a client of the registry")
}
