//! The `Postgres` client of the schema of one generation.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use sqlx::{
    ConnectOptions as _, Executor as _, PgConnection, PgPool, Postgres, QueryBuilder, Row as _, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};
use tracing::Instrument;

use super::{
    ListsConfig,
    errors::{classify_error, query_error},
    statement_connections::StatementConnections,
};
use crate::{QueryError, runtime::ProjectionError};

/// Placeholder of the schema's name in SQL texts.
const SCHEMA: &str = "{schema}";

/// Longest time of one statement that writes, reads everything, or creates tables.
const WRITE_TIMEOUT: Duration = Duration::from_mins(10);

/// Longest pause between two statements of a transaction that writes: the server ends the transaction of a program that
/// has vanished, and so releases the lock that the next writer waits for.
const WRITE_PAUSE: Duration = Duration::from_secs(30);

/// Time that an answer may take beyond the limits of the server.
const ANSWER_MARGIN: Duration = Duration::from_secs(1);

/// Longest time of one statement that changes a whole table or creates an index.
const MAINTENANCE_TIMEOUT: Duration = Duration::from_hours(2);

/// Whether a generation is being filled: rows are only added then, and there are no indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FillState {
    Filling,
    Complete,
}

/// How the row of a generation is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowLock {
    /// Several transactions may hold it at once, but none together with an exclusive one.
    Shared,
    Exclusive,
}

/// A generation that was filled is being completed or has been completed meanwhile, or the other way round.
#[derive(Debug, thiserror::Error)]
#[error("another program has begun to fill or to complete the generation in the schema {0} in the meantime")]
struct FillStateChanged(String);

/// A client of one server and of one of its schemas. Writers have separate connections, so that many queries do not
/// delay the worker.
#[derive(Clone)]
pub(crate) struct PostgresClient {
    readers: PgPool,
    statements: Arc<StatementConnections>,
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
        let options: PgConnectOptions = url.parse().map_err(QueryError::postgres)?;
        // The server's default is as exact, and a pooler refuses parameters of a connection's start that it does not know.
        let options = options.extra_float_digits(None);
        let readers = open_pool(config, options.clone(), config.max_connections);
        let statements = Arc::new(StatementConnections::new(config, options.clone()));
        // Creating an index takes long, which is not worth a warning.
        let writers = open_pool(config, options.disable_statement_logging(), ListsConfig::WRITERS);
        Ok(Self { readers, statements, writers, schema: String::new(), begin_read, answer_timeout, read_model })
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
        let query = query.instrument(telemetry::store_span("postgresql", "read lists"));
        tokio::time::timeout(self.answer_timeout, query)
            .await
            .unwrap_or_else(|elapsed| Err(QueryError::postgres(elapsed)))
    }

    /// Begins a transaction that reads one state of the tables, and whose statements are limited in time.
    pub(crate) async fn begin_read(&self) -> Result<Transaction<'static, Postgres>, QueryError> {
        self.readers.begin_with(self.begin_read.clone()).await.map_err(|error| self.query_error(error))
    }

    /// The rows of one statement that only reads, in one round trip and by a plan that does not depend on its values.
    /// `None` if it has to be read in a transaction, because its connection cannot be opened or was lost.
    pub(crate) async fn fetch_statement(
        &self,
        sql: &mut QueryBuilder<'_, Postgres>,
    ) -> Result<Option<Vec<PgRow>>, sqlx::Error> {
        self.statements.fetch_all(sql).await
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
    ///
    /// # Errors
    /// [`ProjectionError::Unavailable`] also when the generation is not in the state that the caller has read.
    pub(crate) async fn begin_write(
        &self,
        expected: FillState,
    ) -> Result<Transaction<'static, Postgres>, ProjectionError> {
        let begin = format!(
            "begin; set local statement_timeout = {}; set local idle_in_transaction_session_timeout = {}",
            WRITE_TIMEOUT.as_millis(),
            WRITE_PAUSE.as_millis()
        );
        let failed = |error| self.classify_error(error);
        let mut transaction = self.writers.begin_with(begin).await.map_err(failed)?;
        let lock = self.in_schema("select is_filling, is_completing from {schema}.generation for update");
        let row = transaction.fetch_one(lock.as_str()).await.map_err(failed)?;
        let is_filling: bool = row.try_get("is_filling").map_err(failed)?;
        let is_completing: bool = row.try_get("is_completing").map_err(failed)?;
        if is_filling != (expected == FillState::Filling) || is_completing {
            return Err(ProjectionError::unavailable(FillStateChanged(self.schema.clone())));
        }
        Ok(transaction)
    }

    /// Whether the generation is being filled.
    pub(crate) async fn is_filling(&self) -> Result<bool, ProjectionError> {
        let select = self.in_schema("select is_filling from {schema}.generation");
        let row = self.writers.fetch_one(select.as_str()).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| self.classify_error(error))
    }

    /// Locks the row of the generation, and checks that its filling is being completed.
    ///
    /// # Errors
    /// [`QueryError::Unavailable`] also when another program has completed it or has begun the filling again.
    pub(crate) async fn check_completing(
        &self,
        connection: &mut PgConnection,
        lock: RowLock,
    ) -> Result<(), QueryError> {
        let strength = match lock {
            RowLock::Shared => "share",
            RowLock::Exclusive => "update",
        };
        let select = format!("select is_completing from {}.generation for {strength}", self.schema);
        let row = connection.fetch_one(select.as_str()).await;
        let is_completing: bool = row.and_then(|row| row.try_get(0)).map_err(|error| self.query_error(error))?;
        if is_completing { Ok(()) } else { Err(QueryError::postgres(FillStateChanged(self.schema.clone()))) }
    }

    /// Begins a transaction whose statements may change whole tables.
    pub(crate) async fn begin_maintenance(&self) -> Result<Transaction<'static, Postgres>, QueryError> {
        let begin = format!(
            "begin; set local statement_timeout = {}; set local idle_in_transaction_session_timeout = {}; \
             set local jit = off",
            MAINTENANCE_TIMEOUT.as_millis(),
            WRITE_PAUSE.as_millis()
        );
        self.writers.begin_with(begin).await.map_err(|error| self.query_error(error))
    }

    /// Reads over a writer's connection.
    pub(crate) async fn fetch_all(&self, select: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        self.writers.fetch_all(select).await
    }

    /// Creates the schema and its tables, or brings them up to date: executes the scripts that were not executed yet.
    /// The caller commits the transaction; there is none if there was nothing to do.
    pub(crate) async fn migrate_schema(
        &self,
        scripts: &[&str],
    ) -> Result<Option<Transaction<'static, Postgres>>, QueryError> {
        let failed = |error| self.query_error(error);
        let mut transaction = self.begin_maintenance().await?;
        sqlx::query("select pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(&self.schema)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        let executed = self.load_schema_version(&mut transaction).await.map_err(failed)?;
        let missing = scripts.get(executed..).unwrap_or_default();
        if missing.is_empty() {
            return Ok(None);
        }
        if executed == 0 {
            let create_schema = format!("create schema {}", self.schema);
            transaction.execute(create_schema.as_str()).await.map_err(failed)?;
        }
        let set_version = format!("update generation set schema_version = {}", scripts.len());
        let statements = format!("set local search_path = {}; {}; {set_version}", self.schema, missing.join(";\n"));
        transaction.execute(self.in_schema(&statements).as_str()).await.map_err(failed)?;
        tracing::info!(schema.name = self.schema, schema.scripts = missing.len(), "creating or changing a schema");
        Ok(Some(transaction))
    }

    /// The number of scripts that the schema was made by; 0 if it does not exist.
    async fn load_schema_version(&self, connection: &mut PgConnection) -> Result<usize, sqlx::Error> {
        let columns = sqlx::query(
            "select count(*) filter (where column_name = 'schema_version') > 0 from information_schema.columns \
             where table_schema = $1 and table_name = 'generation' having count(*) > 0",
        )
        .bind(&self.schema)
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = columns else { return Ok(0) };
        if !row.try_get::<bool, _>(0)? {
            return Ok(1);
        }
        let select = self.in_schema("select schema_version from {schema}.generation");
        let version: i16 = connection.fetch_one(select.as_str()).await?.try_get(0)?;
        Ok(usize::try_from(version).unwrap_or_default())
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

fn open_pool(config: &ListsConfig, options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(config.acquire_timeout())
        // A connection whose `begin` was cancelled may still be in a transaction: it is closed.
        .after_release(|connection, _| -> BoxFuture<'_, Result<bool, sqlx::Error>> {
            Box::pin(async move { connection.fetch_one(IS_OUTSIDE_TRANSACTION).await?.try_get(0) })
        })
        .connect_lazy_with(options)
}
