//! Opening the database and bringing its schema up to date.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{Connection, Executor as _, PgConnection, PgPool, Row as _, postgres::PgPoolOptions};
use tokio::time::timeout;

use crate::error::{LogError, postgres_error};

/// Where the log lives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// `postgres://user:password@host:port/database`; also taken from `DATABASE_URL`.
    pub url: SecretString,
    /// Most connections of one process.
    pub max_connections: u32,
    /// How long a caller waits for a connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// Connections beside these that append the events of single commands.
    pub append_lanes: usize,
    /// Connections beside these that load streams for single commands.
    pub load_lanes: usize,
    /// Most events that commands append together in one statement, and most streams loaded by one.
    pub group_events: usize,
    /// A stream gets a snapshot when this many events had to be folded; 0 for no snapshots at all.
    pub snapshot_every: usize,
}

impl Default for PostgresConfig {
    fn default() -> Self {
        Self {
            url: "postgres://127.0.0.1:5432/medhub".to_owned().into(),
            max_connections: 20,
            acquire_timeout_ms: 5_000,
            append_lanes: 2,
            load_lanes: 2,
            group_events: 256,
            snapshot_every: 50,
        }
    }
}

/// Whether a connection is outside of any transaction: one that begins with this very statement is its own. To be sent
/// by itself, since a statement that is prepared first begins later than its transaction.
const IS_OUTSIDE_TRANSACTION: &str = "select transaction_timestamp() = statement_timestamp()";

/// Opens a pool; connections are made when first needed.
///
/// A connection whose `begin` was cut off, as by a time-out, is in a transaction that nobody knows of: its next user
/// would write into it, and hold its locks for ever. It is closed instead of being used again.
///
/// # Errors
/// [`LogError::Postgres`] when the URL cannot be understood.
pub fn open_pool(config: &PostgresConfig) -> Result<PgPool, LogError> {
    PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
        .after_release(|connection, _| {
            Box::pin(async move { connection.fetch_one(IS_OUTSIDE_TRANSACTION).await?.try_get(0) })
        })
        .connect_lazy(config.url.expose_secret())
        .map_err(postgres_error("reading the connection URL"))
}

/// Key of the lock that migrations hold one after the other: 'MHMG'.
const MIGRATION_LOCK: i64 = 0x4d48_4d47;

/// Applies the migrations that are missing; safe to run at any time and by several processes at once.
///
/// # Errors
/// [`LogError::Migrate`] when a migration fails or one that ran was edited since, [`LogError::Postgres`] when the
/// database does not answer.
pub async fn migrate(pool: &PgPool) -> Result<(), LogError> {
    let doing = || postgres_error("taking turns at migrating");
    // A lock of a transaction, which ends with it: sqlx's own is one of a session, and behind a pooler that shares
    // sessions it would stay for ever.
    let mut turn = pool.begin().await.map_err(doing())?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(MIGRATION_LOCK).execute(&mut *turn).await.map_err(doing())?;
    let mut migrator = sqlx::migrate!("../migrations/postgres");
    migrator.set_locking(false);
    migrator.run(pool).await.map_err(LogError::Migrate)?;
    turn.commit().await.map_err(doing())
}

/// A connection of one's own beside the pool, which calls itself `application`.
///
/// # Errors
/// [`LogError::Postgres`] when the server refuses, [`LogError::Unresponsive`] when it does not answer as soon as the pool
/// expects it to.
pub(crate) async fn connect(pool: &PgPool, application: &str) -> Result<PgConnection, LogError> {
    let options = pool.connect_options().as_ref().clone().application_name(application);
    let patience = pool.options().get_acquire_timeout();
    match timeout(patience, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected.map_err(postgres_error("connecting")),
        Err(_elapsed) => Err(LogError::Unresponsive { doing: "connecting", waited_s: patience.as_secs_f64() }),
    }
}

/// Waits for an answer of Postgres, but not for ever: a server process may stand still with its connection open.
///
/// # Errors
/// Those of `work`, and [`LogError::Unresponsive`].
pub(crate) async fn with_timeout<T>(
    patience: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, LogError>>,
) -> Result<T, LogError> {
    match timeout(patience, work).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Err(LogError::Unresponsive { doing, waited_s: patience.as_secs_f64() }),
    }
}

/// How long a statement of an append may take altogether: far beyond any that works, short of a server process that
/// stands still or a network that swallows answers.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for the answer to a statement of an append, but not for ever. Whether it was carried out is not known then.
pub(crate) async fn with_append_timeout<T>(
    statement: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(APPEND_TIMEOUT, statement)
        .await
        .unwrap_or_else(|_elapsed| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// The machine's name with this process's id; a name is all that is lost where the system does not tell.
pub(crate) fn host_and_pid() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", name.trim(), std::process::id())
}
