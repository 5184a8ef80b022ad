//! Connects to Postgres and migrates its schema.

use std::{borrow::Cow, str::FromStr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    Connection, Executor as _, PgConnection, PgPool, Row as _,
    error::BoxDynError,
    migrate::{Migration, MigrationSource, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{sync::OnceCell, time::timeout};

use crate::{
    error::{LogError, postgres_error},
    pooler::shares_sessions,
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
    /// The same for commands of operators, which nobody waits for but who entered them.
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

impl PostgresConfig {
    /// Gives statements as long as those of an operator's command may take.
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

/// True outside of any transaction: then the statement begins a transaction of its own, at the same time. Must be sent
/// by the simple protocol, since a prepared statement begins later than its transaction.
const IS_OUTSIDE_TRANSACTION: &str = "select transaction_timestamp() = statement_timestamp()";

/// Opens a pool. Connections are opened when first needed.
///
/// The server ends a statement that takes too long: its caller may have given up long ago, and the connection and locks of
/// the statement are what others wait for.
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
    let limit = StatementLimit {
        limit_ms: config.statement_timeout_ms,
        options: Arc::new(options.clone()),
        are_sessions_shared: Arc::default(),
    };
    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(Duration::from_millis(config.acquire_timeout_ms))
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

/// How long a pool looks for a pooler. One that has no session left lets the second client wait.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The limit of the statements of a pool, for each of its connections.
#[derive(Debug, Clone)]
struct StatementLimit {
    limit_ms: u64,
    options: Arc<PgConnectOptions>,
    /// Whether a pooler gives the sessions to other clients, too; found out by the first connection.
    are_sessions_shared: Arc<OnceCell<bool>>,
}

impl StatementLimit {
    /// Sets the limit by a statement and not by an option of the connection, which a pooler would refuse. Where sessions
    /// are shared, other clients would get the limit, and this one theirs: the role has to have it there.
    async fn apply(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let (probed, options) = (&mut *connection, &self.options);
        let detected = self.are_sessions_shared.get_or_try_init(move || detect_sharing(probed, options)).await;
        // No second connection, as when the server has none left, says nothing; the next connection tries again.
        if detected.is_ok_and(|is_shared| *is_shared) {
            return Ok(());
        }
        connection.execute(format!("set statement_timeout = {}", self.limit_ms).as_str()).await.map(drop)
    }
}

/// Whether other clients get the sessions of this one. A pooler that lets the second client wait is taken for one in
/// session mode: there each client has its session until it disconnects.
async fn detect_sharing(connection: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let comparing = async {
        let mut probe = PgConnection::connect_with(options).await?;
        let is_shared = shares_sessions(connection, &mut probe).await;
        // The result is known: an error while closing does not matter.
        drop(probe.close().await);
        is_shared
    };
    timeout(PROBE_TIMEOUT, comparing).await.unwrap_or(Ok(false))
}

/// Key of the advisory lock that serializes migrations: 'MHMG'.
const MIGRATION_LOCK: i64 = 0x4d48_4d47;

/// Begins the transaction of each migration, and that which waits for other programs: building an index takes as long as
/// the table is large. A setting of the session would stay with a pooler's session, for other clients.
const WITHOUT_LIMIT: &str = "set local statement_timeout = 0";

/// Applies the missing migrations. Safe to run at any time and by several processes at once. Leaves those of a newer
/// release as they are: a deployment that is taken back migrates again.
///
/// # Errors
/// [`LogError::Migrate`] when a migration fails or an applied one was edited since, [`LogError::Postgres`] when the
/// database does not answer.
pub async fn migrate(pool: &PgPool) -> Result<(), LogError> {
    let doing = || postgres_error("waiting for other migrations");
    let pool = &PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(pool.options().get_acquire_timeout())
        .connect_lazy_with(pool.connect_options().as_ref().clone());
    // A transaction-level lock: sqlx's own lock is session-level, and behind a session-sharing pooler it would never be
    // released.
    let mut transaction = pool.begin().await.map_err(doing())?;
    sqlx::query(WITHOUT_LIMIT).execute(&mut *transaction).await.map_err(doing())?;
    sqlx::query("select pg_advisory_xact_lock($1)")
        .bind(MIGRATION_LOCK)
        .execute(&mut *transaction)
        .await
        .map_err(doing())?;
    let mut migrator = Migrator::new(EmbeddedMigrations).await.map_err(LogError::Migrate)?;
    migrator.set_locking(false);
    migrator.set_ignore_missing(true);
    migrator.run(pool).await.map_err(LogError::Migrate)?;
    transaction.commit().await.map_err(doing())?;
    pool.close().await;
    Ok(())
}

/// Number, description and text of each migration, in order; `build.rs` lists them.
const MIGRATIONS: &[(i64, &str, &str)] = &include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

/// The migrations of this release, as sqlx reads them.
#[derive(Debug)]
struct EmbeddedMigrations;

impl MigrationSource<'static> for EmbeddedMigrations {
    fn resolve(self) -> BoxFuture<'static, Result<Vec<Migration>, BoxDynError>> {
        let migration = |(number, description, text): &(i64, &'static str, &'static str)| {
            let (description, text) = (Cow::Borrowed(*description), Cow::Borrowed(*text));
            let mut migration = Migration::new(*number, description, MigrationType::Simple, text, false);
            // After its checksum was computed, which is that of the file.
            migration.sql = Cow::Owned(format!("{WITHOUT_LIMIT};\n{}", migration.sql));
            migration
        };
        Box::pin(async move { Ok(MIGRATIONS.iter().map(migration).collect()) })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn migrations_have_no_time_limit_and_the_checksums_of_their_files() {
        let migrations = EmbeddedMigrations.resolve().await.unwrap();
        assert_eq!(migrations.len(), MIGRATIONS.len());
        for (migration, (number, description, text)) in migrations.iter().zip(MIGRATIONS) {
            let (description, file) = (Cow::Borrowed(*description), Cow::Borrowed(*text));
            let of_file = Migration::new(*number, description, MigrationType::Simple, file, false);
            assert_eq!(migration.checksum, of_file.checksum, "migration {number}");
            assert_eq!(migration.sql, format!("set local statement_timeout = 0;\n{text}"), "migration {number}");
        }
    }
}
