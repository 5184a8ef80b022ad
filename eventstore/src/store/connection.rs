//! A line to Postgres: one connection that is kept between statements and made anew when it breaks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};

/// After a pause this long the server may have gone away; asking costs a round trip that a busy line does not pay.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);
/// How long a statement may wait for a row that another transaction holds. Everybody in its group waits with it.
const LOCK_TIMEOUT: &str = "3s";

/// How lines are made.
#[derive(Debug, Clone)]
pub(super) struct ConnectionFactory {
    options: Arc<PgConnectOptions>,
    connect_timeout: Duration,
}

impl ConnectionFactory {
    /// Lines to the server behind `pool`, beside its connections: the pool asks a connection whether it is alive before
    /// and after each use, which would triple the round trips.
    pub(super) fn for_pool(pool: &PgPool) -> Self {
        let options = pool.connect_options().as_ref().clone().options([
            ("lock_timeout", LOCK_TIMEOUT),
            // A plan that was made while the log was empty must not read all of it later.
            ("enable_seqscan", "off"),
            ("jit", "off"),
        ]);
        Self { options: Arc::new(options), connect_timeout: pool.options().get_acquire_timeout() }
    }

    pub(super) fn new_connection(&self) -> DedicatedConnection {
        DedicatedConnection { factory: self.clone(), connection: None, last_used: Instant::now() }
    }
}

/// One connection, opened when it is needed.
#[derive(Debug)]
pub(super) struct DedicatedConnection {
    factory: ConnectionFactory,
    connection: Option<PgConnection>,
    last_used: Instant,
}

impl DedicatedConnection {
    /// A connection that answered not long ago.
    ///
    /// # Errors
    /// When the server cannot be reached; nothing was sent to it.
    pub(super) async fn ready_connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let kept = match self.connection.take() {
            Some(kept) if self.last_used.elapsed() < PING_AFTER_IDLE => Some(kept),
            Some(kept) => self.check_alive(kept).await,
            None => None,
        };
        let connection = match kept {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        self.last_used = Instant::now();
        Ok(self.connection.insert(connection))
    }

    /// Gives up the connection; the next statement opens another one.
    pub(super) fn reset(&mut self) {
        self.connection = None;
    }

    async fn check_alive(&self, mut kept: PgConnection) -> Option<PgConnection> {
        let answer = tokio::time::timeout(self.factory.connect_timeout, kept.ping()).await;
        matches!(answer, Ok(Ok(()))).then_some(kept)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect_with(&self.factory.options);
        tokio::time::timeout(self.factory.connect_timeout, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}
