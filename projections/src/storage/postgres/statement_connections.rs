//! Connections for queries that are one statement: a message to the server, and its answer.
//!
//! The pool tests a connection before and after each use, and a transaction has a begin and an end: six round trips in
//! addition to the statement's. Here a connection is tested only after a pause, and its session has the settings of
//! transactions that read.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use engine_security::refuses_session_settings;
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, Postgres, QueryBuilder,
    postgres::{PgConnectOptions, PgRow},
};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::ListsConfig;

/// A connection that was not used for this long is tested before its next use.
const TEST_AFTER: Duration = Duration::from_secs(1);

/// Longest use of a connection, as in the pool: a session of the server frees its caches at its end.
const MAX_AGE: Duration = Duration::from_mins(30);

/// How long none is opened after one could not be.
const OPEN_PAUSE: Duration = Duration::from_secs(10);

/// A bounded number of connections.
pub(super) struct StatementConnections {
    options: PgConnectOptions,
    acquire_timeout: Duration,
    /// Longest time of a statement on the server.
    statement_timeout: Duration,
    permits: Arc<Semaphore>,
    state: Mutex<ConnectionState>,
}

#[derive(Default)]
struct ConnectionState {
    /// The last one that was used is used next.
    idle: Vec<StatementConnection>,
    /// When the last one could not be opened.
    failed_at: Option<Instant>,
    /// Whether a pooler has refused the settings of a session: then none is opened any more.
    refuses_settings: bool,
}

struct StatementConnection {
    connection: PgConnection,
    opened_at: Instant,
    used_at: Instant,
}

impl StatementConnections {
    /// Connections that are opened when statements need them.
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
        let connections = usize::try_from(config.statement_connections()).unwrap_or(1);
        Self {
            options,
            acquire_timeout: config.acquire_timeout(),
            statement_timeout: config.query_timeout(),
            permits: Arc::new(Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS))),
            state: Mutex::default(),
        }
    }

    /// The rows of a statement that only reads. `None` if no connection became free, could be opened, or it was lost, so
    /// that the statement may not have been executed.
    pub(super) async fn fetch_all(
        &self,
        sql: &mut QueryBuilder<'_, Postgres>,
    ) -> Result<Option<Vec<PgRow>>, sqlx::Error> {
        let permit = timeout(self.acquire_timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Ok(None) };
        let Some(connection) = self.acquire().await else { return Ok(None) };
        let mut running = RunningStatement { in_use: Some((connection, permit)), longest: self.statement_timeout };
        let Some((connection, _)) = &mut running.in_use else { return Ok(None) };
        let answer = sql.build().fetch_all(&mut connection.connection).await;
        let Some((mut connection, _permit)) = running.in_use.take() else { return Ok(None) };
        match answer {
            Err(error) if is_connection_lost(&error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "lost a connection for single statements");
                // Probably the others, too.
                self.lock().idle.clear();
                Ok(None)
            }
            answer => {
                connection.used_at = Instant::now();
                let mut state = self.lock();
                // Those at the bottom are not used after a burst.
                state.idle.retain(|idle| idle.opened_at.elapsed() <= MAX_AGE);
                state.idle.push(connection);
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
            if idle.used_at.elapsed() < TEST_AFTER {
                return Some(idle);
            }
            match timeout(self.acquire_timeout, idle.connection.ping()).await {
                Ok(Ok(())) => return Some(idle),
                Ok(Err(_lost)) => {}
                // The server, or the way to it, is silent: the others would be, too.
                Err(_elapsed) => self.lock().idle.clear(),
            }
        }
        {
            let state = self.lock();
            let failed_recently = state.failed_at.is_some_and(|failed_at| failed_at.elapsed() < OPEN_PAUSE);
            if failed_recently || state.refuses_settings {
                return None;
            }
        }
        let opened_at = Instant::now();
        let opened = timeout(self.acquire_timeout, self.options.connect()).await;
        match opened.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => Some(StatementConnection { connection, opened_at, used_at: opened_at }),
            Err(error) if refuses_settings(&error) => {
                tracing::info!("a pooler refuses the settings of single statements; pages are read in transactions");
                self.lock().refuses_settings = true;
                None
            }
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

/// A connection while its statement is executed. If the query is cancelled, the server goes on until the end of the statement:
/// only then is the connection closed, and another one may be opened in its place.
struct RunningStatement {
    in_use: Option<(StatementConnection, OwnedSemaphorePermit)>,
    longest: Duration,
}

impl Drop for RunningStatement {
    fn drop(&mut self) {
        let (Some((mut cancelled, permit)), Ok(runtime)) = (self.in_use.take(), Handle::try_current()) else { return };
        let longest = self.longest;
        runtime.spawn(async move {
            // Waits for the statement's answer first. Its connection is not used again, even if it still works.
            drop(timeout(longest, cancelled.connection.ping()).await);
            drop((cancelled, permit));
        });
    }
}

/// Class of SQLSTATE of a server that ends its sessions.
const SHUTDOWN: &str = "57P";

fn refuses_settings(error: &sqlx::Error) -> bool {
    let refused = error.as_database_error();
    refused.is_some_and(|error| refuses_session_settings(error.code().as_deref(), error.message()))
}

fn is_connection_lost(error: &sqlx::Error) -> bool {
    match error.as_database_error() {
        Some(error) => error.code().is_some_and(|code| code.starts_with(SHUTDOWN)),
        None => true,
    }
}
