//! A dedicated connection to Postgres that is reused between statements and reopened when it breaks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};

/// A connection that was idle for this long is pinged before use, since the server may have closed it. A busy
/// connection saves that round trip.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);
/// How long a statement may wait for a row lock of another transaction. Its whole group waits with it.
const LOCK_TIMEOUT: &str = "3s";

/// Creates dedicated connections.
#[derive(Debug, Clone)]
pub(super) struct ConnectionFactory {
    options: Arc<PgConnectOptions>,
    connect_timeout: Duration,
}

impl ConnectionFactory {
    /// Creates a factory of connections to the server of `pool`, outside of the pool: the pool checks a connection
    /// before and after each use, which would triple the round trips.
    pub(super) fn for_pool(pool: &PgPool) -> Self {
        let options = pool.connect_options().as_ref().clone().options([
            ("lock_timeout", LOCK_TIMEOUT),
            // Otherwise a generic plan that was made while the log was empty would scan the whole table later.
            ("enable_seqscan", "off"),
            // Otherwise Postgres plans the statement again for most groups, which takes longer than loading a group.
            ("plan_cache_mode", "force_generic_plan"),
            ("jit", "off"),
        ]);
        Self { options: Arc::new(options), connect_timeout: pool.options().get_acquire_timeout() }
    }

    pub(super) fn new_connection(&self) -> DedicatedConnection {
        DedicatedConnection { factory: self.clone(), connection: None, last_used: Instant::now() }
    }
}

/// One connection, opened when it is first needed.
#[derive(Debug)]
pub(super) struct DedicatedConnection {
    factory: ConnectionFactory,
    connection: Option<PgConnection>,
    last_used: Instant,
}

impl DedicatedConnection {
    /// Returns the connection, after opening or pinging it where necessary.
    ///
    /// # Errors
    /// When the server cannot be reached; no statement was sent.
    pub(super) async fn ready_connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let reusable = match self.connection.take() {
            Some(connection) if self.last_used.elapsed() < PING_AFTER_IDLE => Some(connection),
            Some(connection) => self.check_alive(connection).await,
            None => None,
        };
        let connection = match reusable {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        self.last_used = Instant::now();
        Ok(self.connection.insert(connection))
    }

    /// Drops the connection; the next statement opens another one.
    pub(super) fn reset(&mut self) {
        self.connection = None;
    }

    async fn check_alive(&self, mut connection: PgConnection) -> Option<PgConnection> {
        let pinged = tokio::time::timeout(self.factory.connect_timeout, connection.ping()).await;
        matches!(pinged, Ok(Ok(()))).then_some(connection)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect_with(&self.factory.options);
        tokio::time::timeout(self.factory.connect_timeout, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}
