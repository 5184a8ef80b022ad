//! Connects to Postgres.

use std::{str::FromStr, sync::Arc, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    Connection, Executor as _, PgConnection, PgPool, Row as _,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::{
    error::{LogError, postgres_error},
    session_sharing::SessionSharing,
};

/// Settings of the connections to Postgres.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`; also taken from `DATABASE_URL`.
    pub url: SecretString,
    /// Maximum number of pooled connections of a process.
    pub max_connections: u32,
    /// How long a caller waits for a connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// Longest time of a statement of a service on the server, in milliseconds; 0 is without a limit. More than a request
    /// may take, and less than the client waits for an append, so that the outcome of an append is known.
    pub statement_timeout_ms: u64,
    /// The same for commands of operators, since only the operator waits for them.
    pub operator_statement_timeout_ms: u64,
    /// Number of additional connections that append the events of single commands.
    pub append_lanes: usize,
    /// Number of additional connections that load streams for single commands, and of those that look up idempotency
    /// keys.
    pub load_lanes: usize,
    /// Maximum number of events that one statement appends for several commands, and of streams that one statement
    /// loads.
    pub group_events: usize,
    /// A stream gets a snapshot when loading it folded at least this many events; 0 disables snapshots.
    pub snapshot_every: usize,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: "postgres://127.0.0.1:5432/medhub".to_owned().into(),
            max_connections: 20,
            acquire_timeout_ms: 5_000,
            statement_timeout_ms: 20_000,
            operator_statement_timeout_ms: 600_000,
            append_lanes: 2,
            load_lanes: 2,
            group_events: 256,
            snapshot_every: 50,
        }
    }
}

/// Connections of the event store, by what they do. Each is opened when it is first needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreLanes {
    /// They append events.
    pub append: usize,
    /// They load streams.
    pub load: usize,
    /// They look up idempotency keys.
    pub lookup: usize,
    /// They write snapshots.
    pub snapshot: usize,
}

impl StoreLanes {
    /// All of them.
    pub fn total(self) -> usize {
        self.append + self.load + self.lookup + self.snapshot
    }
}

impl PostgresConfig {
    /// The connections of the event store, beside the pool.
    pub fn store_lanes(&self) -> StoreLanes {
        StoreLanes {
            append: self.append_lanes.max(1),
            load: self.load_lanes.max(1),
            lookup: self.load_lanes.max(1),
            snapshot: 1,
        }
    }

    /// Gives statements the time limit of an operator's command.
    pub fn limit_as_operator(&mut self) {
        self.statement_timeout_ms = self.operator_statement_timeout_ms;
    }

    /// Settings of a pool for work, and of a connection for reports on the process, together with as many connections.
    pub fn split_off_status(&self) -> (Self, Self) {
        let work = self.max_connections.saturating_sub(1).max(1);
        (Self { max_connections: work, ..self.clone() }, Self { max_connections: 1, ..self.clone() })
    }
}

/// `application_name` of pooled connections; a name in the URL is added to it. Only sessions whose name begins like this
/// wake the relay up (`migrations/postgres/0029_append_wakeups.sql`); it finds the appends of others when it polls.
const APPLICATION_NAME: &str = "medhub";

/// True outside of any transaction: then the statement begins its own transaction, at the same time. Must be sent by
/// the simple protocol, since a prepared statement begins later than its transaction.
const IS_OUTSIDE_TRANSACTION: &str = "select transaction_timestamp() = statement_timestamp()";

/// Opens a pool. Connections are opened when first needed.
///
/// The server ends a statement that takes too long: its caller may have given up long ago, while others wait for the
/// connection and locks of the statement.
///
/// A connection whose `begin` was cancelled, as by a time-out, may still be in a transaction: its next user would write
/// into that transaction, and the locks would never be released. The pool closes such a connection when it is returned.
///
/// # Errors
/// [`LogError::Postgres`] when the URL cannot be parsed.
pub fn open_pool(config: &PostgresConfig) -> Result<PgPool, LogError> {
    let options = PgConnectOptions::from_str(config.url.expose_secret());
    let options = options.map_err(postgres_error("parsing the connection URL"))?;
    let name = match options.get_application_name() {
        Some(name) if name.starts_with(APPLICATION_NAME) => name.to_owned(),
        Some(name) => format!("{APPLICATION_NAME} {name}"),
        None => APPLICATION_NAME.to_owned(),
    };
    // The server's default is as exact, and a pooler refuses parameters of a connection's start that it does not know.
    let options = options.application_name(&name).extra_float_digits(None);
    let acquire_timeout = Duration::from_millis(config.acquire_timeout_ms);
    let sessions = SessionSharing::new(Arc::new(options.clone()), acquire_timeout);
    let limit = StatementLimit { limit_ms: config.statement_timeout_ms, sessions };
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(acquire_timeout)
        .after_release(|connection, _| {
            Box::pin(async move { connection.fetch_one(IS_OUTSIDE_TRANSACTION).await?.try_get(0) })
        })
        .after_connect(move |connection, _| {
            let limit = limit.clone();
            Box::pin(async move { limit.apply(connection).await })
        })
        .connect_lazy_with(options);
    Ok(pool)
}

/// The limit of the statements of a pool, for each of its connections.
#[derive(Debug, Clone)]
struct StatementLimit {
    limit_ms: u64,
    sessions: SessionSharing,
}

impl StatementLimit {
    /// Sets the limit by a statement and not by an option of the connection, which a pooler would refuse. Where sessions
    /// are shared, other clients would get the limit, and this one theirs: the role has to have it there.
    async fn apply(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        // No second connection, as when the server has none left, says nothing; the next connection tries again.
        if self.sessions.is_shared(connection).await.unwrap_or(false) {
            return Ok(());
        }
        connection.execute(format!("set statement_timeout = {}", self.limit_ms).as_str()).await.map(drop)
    }
}

/// Opens a connection outside of the pool, with `application` as its `application_name`.
///
/// # Errors
/// [`LogError::Postgres`] when the server refuses, [`LogError::Unresponsive`] when it does not answer within the pool's
/// acquire time-out.
pub(crate) async fn connect(pool: &PgPool, application: &str) -> Result<PgConnection, LogError> {
    let options = pool.connect_options().as_ref().clone().application_name(application);
    let time_limit = pool.options().get_acquire_timeout();
    match timeout(time_limit, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected.map_err(postgres_error("connecting")),
        Err(_elapsed) => Err(LogError::Unresponsive { doing: "connecting", waited_s: time_limit.as_secs_f64() }),
    }
}

/// Limits the time that `work` may wait for Postgres: a server process may hang with its connection open.
///
/// # Errors
/// Those of `work`, and [`LogError::Unresponsive`].
pub(crate) async fn with_timeout<T>(
    time_limit: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, LogError>>,
) -> Result<T, LogError> {
    match timeout(time_limit, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(LogError::Unresponsive { doing, waited_s: time_limit.as_secs_f64() }),
    }
}

/// Time limit of a statement of an append. Far longer than one takes, so that only a hung server process or lost
/// network packets reach it.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Limits the time of a statement of an append. After a time-out it is unknown whether the statement was executed.
pub(crate) async fn with_append_timeout<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(APPEND_TIMEOUT, statement)
        .await
        .unwrap_or_else(|_elapsed| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Host name and process id, as `host:pid`; the host is empty where the system does not provide it.
pub fn host_and_pid() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", name.trim(), std::process::id())
}
