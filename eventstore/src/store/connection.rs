//! A dedicated connection to Postgres that is reused between statements and reopened when it breaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor as _, PgConnection, PgPool, postgres::PgConnectOptions};

use crate::pooler::{refuses_settings, shares_sessions};

/// A connection that was idle for this long is pinged before use, since the server may have closed it. A busy
/// connection saves that round trip.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Settings of the session of such a connection.
const SESSION_SETTINGS: [(&str, &str); 5] = [
    // Less than the client waits for an append, so that the outcome of an append is known.
    ("statement_timeout", "20s"),
    // How long a statement may wait for a row lock of another transaction. Its whole group waits with it.
    ("lock_timeout", "3s"),
    // Otherwise a generic plan that was made while the log was empty would scan the whole table later.
    ("enable_seqscan", "off"),
    // Otherwise Postgres plans the statement again for most groups, which takes longer than loading a group.
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
];

/// Creates dedicated connections.
#[derive(Debug, Clone)]
pub(super) struct ConnectionFactory {
    options: Arc<PgConnectOptions>,
    options_without_settings: Arc<PgConnectOptions>,
    connect_timeout: Duration,
    /// Whether a pooler has refused the settings at the start of a connection.
    refuses_settings: Arc<AtomicBool>,
}

impl ConnectionFactory {
    /// Creates a factory of connections to the server of `pool`, outside of the pool: the pool checks a connection
    /// before and after each use, which would triple the round trips.
    pub(super) fn for_pool(pool: &PgPool) -> Self {
        let options_without_settings = pool.connect_options();
        let options = options_without_settings.as_ref().clone().options(SESSION_SETTINGS);
        Self {
            options: Arc::new(options),
            options_without_settings,
            connect_timeout: pool.options().get_acquire_timeout(),
            refuses_settings: Arc::default(),
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        if !self.refuses_settings.load(Ordering::Relaxed) {
            match PgConnection::connect_with(&self.options).await {
                Err(error) if refuses_settings(&error) => self.refuses_settings.store(true, Ordering::Relaxed),
                outcome => return outcome,
            }
        }
        let mut connection = PgConnection::connect_with(&self.options_without_settings).await?;
        let mut probe = PgConnection::connect_with(&self.options_without_settings).await?;
        let is_shared = shares_sessions(&mut connection, &mut probe).await?;
        probe.close().await?;
        // Where sessions are shared, other clients would get the settings, too.
        if !is_shared {
            let statements = SESSION_SETTINGS.map(|(name, value)| format!("set {name} = '{value}'"));
            connection.execute(statements.join("; ").as_str()).await?;
        }
        Ok(connection)
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
        tokio::time::timeout(self.factory.connect_timeout, self.factory.connect())
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}
