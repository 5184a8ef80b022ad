//! Connections for queries that are one statement: a message to the server, and its answer.
//!
//! The pool tests a connection before and after each use, and a transaction has a beginning and an end: six round trips
//! beside that of the statement. Here a connection is tested only after a pause, and the settings of the transactions
//! that read are those of its session.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Postgres, QueryBuilder,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{sync::Semaphore, time::timeout};

use super::ListsConfig;

/// A connection that was not used for this long is tested before its next use.
const TEST_AFTER: Duration = Duration::from_secs(1);

/// Longest use of a connection, as in the pool: what a session of the server caches is freed at its end.
const MAX_AGE: Duration = Duration::from_mins(30);

/// How long none is opened after one could not be: a server may refuse the settings of its session, as poolers do.
const OPEN_PAUSE: Duration = Duration::from_secs(1);

/// A bounded number of connections.
pub(super) struct StatementConnections {
    options: PgConnectOptions,
    acquire_timeout: Duration,
    permits: Semaphore,
    state: Mutex<ConnectionState>,
}

#[derive(Default)]
struct ConnectionState {
    /// The last one that was used is used next.
    idle: Vec<StatementConnection>,
    /// When the last one could not be opened.
    failed_at: Option<Instant>,
}

struct StatementConnection {
    connection: PgConnection,
    opened_at: Instant,
    used_at: Instant,
}

impl StatementConnections {
    /// Half as many connections as the pool has; they are opened when statements need them.
    pub(super) fn new(config: &ListsConfig, options: PgConnectOptions) -> Self {
        let options = options.options([
            ("statement_timeout", config.query_timeout_ms.to_string().as_str()),
            ("default_transaction_read_only", "on"),
            // Planning such a statement takes longer than executing it. Its plan depends on no value, and must not be
            // one that was made while the table was empty, which would read all of it later.
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_bitmapscan", "off"),
            ("jit", "off"),
        ]);
        let connections = usize::try_from(config.max_connections.div_ceil(2)).unwrap_or(1);
        Self {
            options,
            acquire_timeout: config.acquire_timeout(),
            permits: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
            state: Mutex::default(),
        }
    }

    /// The rows of a statement that only reads. `None` if no connection could be opened or it was lost, so that the
    /// statement may not have been executed.
    pub(super) async fn fetch_all(
        &self,
        sql: &mut QueryBuilder<'_, Postgres>,
    ) -> Result<Option<Vec<PgRow>>, sqlx::Error> {
        let Ok(Ok(_permit)) = timeout(self.acquire_timeout, self.permits.acquire()).await else {
            return Err(sqlx::Error::PoolTimedOut);
        };
        let Some(mut connection) = self.acquire().await else { return Ok(None) };
        // A cancelled query leaves an answer behind: its connection is not put back.
        let answer = sql.build().fetch_all(&mut connection.connection).await;
        match answer {
            Err(error) if is_connection_lost(&error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a connection for single statements is lost");
                // Probably the others, too.
                self.lock().idle.clear();
                Ok(None)
            }
            answer => {
                connection.used_at = Instant::now();
                self.lock().idle.push(connection);
                answer.map(Some)
            }
        }
    }

    async fn acquire(&self) -> Option<StatementConnection> {
        loop {
            let idle = self.lock().idle.pop();
            let Some(mut idle) = idle else { break };
            if idle.opened_at.elapsed() > MAX_AGE {
                continue;
            }
            if idle.used_at.elapsed() < TEST_AFTER || idle.connection.ping().await.is_ok() {
                return Some(idle);
            }
        }
        let failed_at = self.lock().failed_at;
        if failed_at.is_some_and(|failed_at| failed_at.elapsed() < OPEN_PAUSE) {
            return None;
        }
        let opened_at = Instant::now();
        let opened = timeout(self.acquire_timeout, self.options.connect()).await;
        match opened.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => Some(StatementConnection { connection, opened_at, used_at: opened_at }),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot open a connection for single statements; pages are read in transactions"
                );
                self.lock().failed_at = Some(Instant::now());
                None
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Class of SQLSTATE of a server that ends its sessions.
const SHUTDOWN: &str = "57P";

fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        Some(error) => error.code().is_some_and(|code| code.starts_with(SHUTDOWN)),
        None => true,
    }
}
