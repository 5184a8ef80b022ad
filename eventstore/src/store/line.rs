//! A line to Postgres: one connection that is kept between statements and made anew when it breaks.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};

/// After a pause this long the server may have gone away; asking costs a round trip that a busy line does not pay.
const FRESH: Duration = Duration::from_secs(1);
/// How long a statement may wait for a row that another transaction holds. Everybody in its group waits with it.
const LOCK_TIMEOUT: &str = "3s";

/// How lines are made.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    options: Arc<PgConnectOptions>,
    connect_within: Duration,
}

impl Exchange {
    /// Lines to the server behind `pool`, beside its connections: the pool asks a connection whether it is alive before
    /// and after each use, which would triple the round trips.
    pub(super) fn beside(pool: &PgPool) -> Self {
        let options = pool.connect_options().as_ref().clone().options([
            ("lock_timeout", LOCK_TIMEOUT),
            // A plan that was made while the log was empty must not read all of it later.
            ("enable_seqscan", "off"),
            ("jit", "off"),
        ]);
        Self { options: Arc::new(options), connect_within: pool.options().get_acquire_timeout() }
    }

    pub(super) fn line(&self) -> Line {
        Line { exchange: self.clone(), open: None, used: Instant::now() }
    }
}

/// One connection, opened when it is needed.
#[derive(Debug)]
pub(super) struct Line {
    exchange: Exchange,
    open: Option<PgConnection>,
    used: Instant,
}

impl Line {
    /// A connection that answered not long ago.
    ///
    /// # Errors
    /// When the server cannot be reached; nothing was sent to it.
    pub(super) async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let kept = match self.open.take() {
            Some(kept) if self.used.elapsed() < FRESH => Some(kept),
            Some(kept) => self.still_there(kept).await,
            None => None,
        };
        let connection = match kept {
            Some(kept) => kept,
            None => self.connect().await?,
        };
        self.used = Instant::now();
        Ok(self.open.insert(connection))
    }

    /// Gives up the connection; the next statement opens another one.
    pub(super) fn hang_up(&mut self) {
        self.open = None;
    }

    async fn still_there(&self, mut kept: PgConnection) -> Option<PgConnection> {
        let answer = tokio::time::timeout(self.exchange.connect_within, kept.ping()).await;
        matches!(answer, Ok(Ok(()))).then_some(kept)
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = PgConnection::connect_with(&self.exchange.options);
        tokio::time::timeout(self.exchange.connect_within, connecting).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}
