//! A dedicated connection to Postgres that is reused between statements and reopened when it breaks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, Executor as _, PgConnection, PgPool, Row as _, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{pooler::refuses_settings, session_sharing::SessionSharing};

/// A connection that was idle for this long is pinged before use, since the server may have closed it. A busy
/// connection saves that round trip.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// The setting that shows whether the others reach the server.
const LOCK_TIMEOUT: (&str, &str) = ("lock_timeout", "3s");

/// Settings of the session of such a connection.
const SESSION_SETTINGS: [(&str, &str); 5] = [
    // Less than the client waits for an append, so that the outcome of an append is known.
    ("statement_timeout", "20s"),
    // How long a statement may wait for a row lock of another transaction. Its whole group waits with it.
    LOCK_TIMEOUT,
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
    /// Whether a pooler has refused or ignored the settings at the start of a connection.
    refuses_settings: Arc<AtomicBool>,
    /// Whether that pooler shares sessions between clients.
    sessions: SessionSharing,
}

impl ConnectionFactory {
    /// Creates a factory of connections to the server of `pool`, outside of the pool: the pool checks a connection
    /// before and after each use, which would triple the round trips.
    pub(super) fn for_pool(pool: &PgPool) -> Self {
        let options_without_settings = pool.connect_options();
        let options = options_without_settings.as_ref().clone().options(SESSION_SETTINGS);
        let connect_timeout = pool.options().get_acquire_timeout();
        Self {
            options: Arc::new(options),
            sessions: SessionSharing::new(Arc::clone(&options_without_settings), connect_timeout),
            options_without_settings,
            connect_timeout,
            refuses_settings: Arc::default(),
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        if !self.refuses_settings.load(Ordering::Relaxed) {
            match PgConnection::connect_with(&self.options).await {
                Ok(mut connection) => {
                    if has_settings(&mut connection).await? {
                        return Ok(connection);
                    }
                    // It is not kept: a pooler may have no second session for this client.
                    connection.close().await?;
                }
                Err(error) if refuses_settings(&error) => {}
                Err(error) => return Err(error),
            }
            self.refuses_settings.store(true, Ordering::Relaxed);
        }
        let mut connection = PgConnection::connect_with(&self.options_without_settings).await?;
        // Where sessions are shared, other clients would get the settings, too.
        if !self.sessions.is_shared(&mut connection).await? {
            let statements = SESSION_SETTINGS.map(|(name, value)| format!("set {name} = '{value}'"));
            connection.execute(statements.join("; ").as_str()).await?;
        }
        Ok(connection)
    }

    pub(super) fn new_connection(&self) -> DedicatedConnection {
        DedicatedConnection { factory: self.clone(), connection: None, last_used: Instant::now() }
    }
}

/// Whether the settings have reached the server: a pooler may be told to ignore them.
async fn has_settings(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let (name, value) = LOCK_TIMEOUT;
    let shown: String = connection.fetch_one(format!("show {name}").as_str()).await?.try_get(0)?;
    Ok(shown == value)
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
        let pinged = timeout(self.factory.connect_timeout, connection.ping()).await;
        matches!(pinged, Ok(Ok(()))).then_some(connection)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        timeout(self.factory.connect_timeout, self.factory.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}
