//! The environment of one run: a database, topics and a folder of its own on a running stack.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::Context as _;
use eventstore::topic::KafkaConfig;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{TestStack, test_database::delete_topics};

/// A run's own part of a stack; dropping it deletes the topics.
#[derive(Debug)]
pub struct FaultEnvironment {
    /// The database's URL.
    pub url: String,
    /// The topics.
    pub kafka: KafkaConfig,
    /// A few connections for the product's batch append.
    pub pool: PgPool,
    variables: BTreeMap<String, String>,
    logs: TempDir,
}

impl FaultEnvironment {
    /// Creates and migrates the database, and creates the topics.
    ///
    /// # Errors
    /// If the stack's Postgres or Kafka refuses or is unavailable.
    pub async fn new(stack: &TestStack) -> anyhow::Result<Self> {
        let run = Uuid::new_v4().simple().to_string();
        let (admin, database) = (stack.variable("DATABASE_URL").to_owned(), format!("faults_{run}"));
        let mut connection = PgConnection::connect(&admin).await.context("connecting to the stack's Postgres")?;
        connection.execute(format!("create database {database}").as_str()).await.context("creating the database")?;
        connection.close().await?;
        let mut url = reqwest::Url::parse(&admin).context("reading the database's URL")?;
        url.set_path(&database);
        let options = PgPoolOptions::new().max_connections(6).acquire_timeout(Duration::from_secs(5));
        let pool = options.connect(url.as_str()).await.context("connecting to the run's database")?;
        eventstore::schema_migration::migrate(&pool).await?;
        let kafka = KafkaConfig {
            brokers: stack.variable("KAFKA_BROKERS").to_owned(),
            topic_prefix: format!("faults-{run}"),
            ..KafkaConfig::default()
        };
        eventstore::topic::ensure_topics(&kafka).await.context("creating topics")?;
        let logs = tempfile::Builder::new().prefix("medhub-faults-").tempdir().context("creating a folder for logs")?;
        let mut variables = stack.variables().clone();
        variables.insert("DATABASE_URL".to_owned(), url.to_string());
        variables.insert("MEDHUB__KAFKA__TOPIC_PREFIX".to_owned(), kafka.topic_prefix.clone());
        Ok(Self { url: url.into(), kafka, pool, variables, logs })
    }

    /// The environment variables of a product process in this environment.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// Sets `url` as the database's URL for processes that are started from now on.
    pub fn set_database_url(&mut self, url: &str) {
        self.variables.insert("DATABASE_URL".to_owned(), url.to_owned());
    }

    /// The folder of its processes' logs.
    pub fn log_folder(&self) -> &Path {
        self.logs.path()
    }

    /// Connects to the database.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        PgConnection::connect(&self.url).await.context("connecting to the run's database")
    }
}

impl Drop for FaultEnvironment {
    fn drop(&mut self) {
        delete_topics(&self.kafka.brokers, &self.kafka.topic_prefix);
    }
}
