//! The `Postgres` client of the schema of one generation.

use std::{future::Future, time::Duration};

use futures::future::BoxFuture;
use sqlx::{Executor as _, PgPool, Postgres, Row as _, Transaction, postgres::PgPoolOptions};

use super::{
    ListsConfig,
    errors::{classify_error, query_error},
};
use crate::{QueryError, runtime::ProjectionError};

/// Placeholder of the schema's name in SQL texts.
const SCHEMA: &str = "{schema}";

/// Most connections that write: a worker or a rebuild has one.
const WRITERS: u32 = 3;

/// Longest time of one statement that writes, reads everything, or creates tables.
const WRITE_TIMEOUT: Duration = Duration::from_mins(10);

/// Longest pause between two statements of a transaction that writes: the server ends that of a program that has
/// vanished, and with it the lock that the next writer waits for.
const WRITE_PAUSE: Duration = Duration::from_secs(30);

/// Time that an answer may take beyond the limits of the server.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// A client of one server and of one of its schemas. Writers have connections of their own, so that many queries do
/// not delay the worker.
#[derive(Clone)]
pub(crate) struct PostgresClient {
    readers: PgPool,
    writers: PgPool,
    schema: String,
    /// Begins a transaction that reads.
    begin_read: String,
    /// Longest wait for the answer to a query, which may have several statements.
    answer_timeout: Duration,
    /// Name of the read model in errors, as `medhub rebuild` takes it.
    read_model: &'static str,
}

impl PostgresClient {
    /// Creates a client without a schema; it connects at the first statement.
    pub(crate) fn new(config: &ListsConfig, url: &str, read_model: &'static str) -> Result<Self, QueryError> {
        // In one message, which a pooler that shares sessions passes on as it is. The plan depends on the values: how
        // often a word or a value occurs decides which index is the cheapest.
        let begin_read = format!(
            "begin isolation level repeatable read read only; set local statement_timeout = {}; \
             set local plan_cache_mode = force_custom_plan; set local jit = off",
            config.query_timeout_ms
        );
        let answer_timeout = config.acquire_timeout() + config.query_timeout() + ANSWER_MARGIN;
        let readers = open_pool(config, url, config.max_connections)?;
        let writers = open_pool(config, url, WRITERS)?;
        Ok(Self { readers, writers, schema: String::new(), begin_read, answer_timeout, read_model })
    }

    /// The same client with another schema. Its name must need no quotation marks.
    pub(crate) fn with_schema(&self, schema: String) -> Self {
        Self { schema, ..self.clone() }
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// The statement with the name of the schema instead of `{schema}`.
    pub(crate) fn in_schema(&self, sql: &str) -> String {
        sql.replace(SCHEMA, &self.schema)
    }

    /// Checks that the server answers.
    pub(crate) async fn ping(&self) -> Result<(), QueryError> {
        // Not over a reader's connection: many queries would look like a server that does not answer.
        self.writers.execute("select 1").await.map(drop).map_err(|error| self.query_error(error))
    }

    /// Waits for the answer to a query: a server that hangs does not end its statements.
    pub(crate) async fn limit_wait<T>(
        &self,
        query: impl Future<Output = Result<T, QueryError>>,
    ) -> Result<T, QueryError> {
        tokio::time::timeout(self.answer_timeout, query)
            .await
            .unwrap_or_else(|elapsed| Err(QueryError::postgres(elapsed)))
    }

    /// Begins a transaction that reads one state of the tables, and whose statements are limited in time.
    pub(crate) async fn begin_read(&self) -> Result<Transaction<'static, Postgres>, QueryError> {
        self.readers.begin_with(self.begin_read.clone()).await.map_err(|error| self.query_error(error))
    }

    /// Begins a transaction that reads for the worker or for verify, beside the connections of queries.
    pub(crate) async fn begin_scan(&self) -> Result<Transaction<'static, Postgres>, QueryError> {
        let begin = format!(
            "begin isolation level repeatable read read only; set local statement_timeout = {}",
            WRITE_TIMEOUT.as_millis()
        );
        self.writers.begin_with(begin).await.map_err(|error| self.query_error(error))
    }

    /// Begins a transaction that writes, and waits until no other one writes to the schema.
    pub(crate) async fn begin_write(&self) -> Result<Transaction<'static, Postgres>, ProjectionError> {
        let begin = format!(
            "begin; set local statement_timeout = {}; set local idle_in_transaction_session_timeout = {}",
            WRITE_TIMEOUT.as_millis(),
            WRITE_PAUSE.as_millis()
        );
        let mut transaction = self.writers.begin_with(begin).await.map_err(|error| self.classify_error(error))?;
        let lock = self.in_schema("select only_row from {schema}.generation for update");
        transaction.fetch_one(lock.as_str()).await.map_err(|error| self.classify_error(error))?;
        Ok(transaction)
    }

    /// Creates the schema and its tables, if it does not exist, by the statements of `script`.
    pub(crate) async fn create_schema(&self, script: &str) -> Result<(), QueryError> {
        let begin = format!("begin; set local statement_timeout = {}", WRITE_TIMEOUT.as_millis());
        let failed = |error| self.query_error(error);
        let mut transaction = self.writers.begin_with(begin).await.map_err(failed)?;
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(&self.schema)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let exists: bool = sqlx::query("select exists (select from pg_namespace where nspname = $1)")
            .bind(&self.schema)
            .fetch_one(&mut *transaction)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(failed)?;
        if exists {
            return Ok(());
        }
        let statements = format!("create schema {0}; set local search_path = {0}; {script}", self.schema);
        transaction.execute(statements.as_str()).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        tracing::info!(schema.name = self.schema, "schema created");
        Ok(())
    }

    /// Removes the schema and everything in it.
    pub(crate) async fn drop_schema(&self) -> Result<(), QueryError> {
        let drop_schema = format!("drop schema if exists {} cascade", self.schema);
        self.writers.execute(drop_schema.as_str()).await.map(drop).map_err(|error| self.query_error(error))
    }

    /// Whether the schema was marked as complete.
    pub(crate) async fn is_marked_complete(&self) -> Result<bool, QueryError> {
        let select = self.in_schema("select is_complete from {schema}.generation");
        let row = self.writers.fetch_one(select.as_str()).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.query_error(error))
    }

    /// Marks the schema as complete; waits until no transaction writes to it.
    pub(crate) async fn mark_complete(&self) -> Result<(), QueryError> {
        let update = self.in_schema("update {schema}.generation set is_complete = true where not is_complete");
        self.writers.execute(update.as_str()).await.map(drop).map_err(|error| self.query_error(error))
    }

    /// Updates the planner's statistics of a table.
    pub(crate) async fn analyze(&self, table: &str) -> Result<(), QueryError> {
        let analyze = format!("analyze {}.{table}", self.schema);
        self.writers.execute(analyze.as_str()).await.map(drop).map_err(|error| self.query_error(error))
    }

    /// An error of a query.
    pub(crate) fn query_error(&self, error: sqlx::Error) -> QueryError {
        query_error(error, self.read_model, &self.schema)
    }

    /// An error of a write; its variant decides whether the worker retries or parks the event.
    pub(crate) fn classify_error(&self, error: sqlx::Error) -> ProjectionError {
        classify_error(error, self.read_model, &self.schema)
    }
}

/// True outside of any transaction.
const IS_OUTSIDE_TRANSACTION: &str = "select transaction_timestamp() = statement_timestamp()";

fn open_pool(config: &ListsConfig, url: &str, connections: u32) -> Result<PgPool, QueryError> {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout())
        // A connection whose `begin` was cancelled may still be in a transaction: it is closed.
        .after_release(|connection, _| -> BoxFuture<'_, Result<bool, sqlx::Error>> {
            Box::pin(async move { connection.fetch_one(IS_OUTSIDE_TRANSACTION).await?.try_get(0) })
        })
        .connect_lazy(url)
        .map_err(QueryError::postgres)
}
