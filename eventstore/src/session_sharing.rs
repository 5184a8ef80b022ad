//! Whether sessions of Postgres may have settings: not where a pooler shares them between clients.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::OnceCell, time::timeout};

use crate::pooler::shares_sessions;

/// Longest time of a comparison of two connections.
const COMPARISON_TIMEOUT: Duration = Duration::from_secs(2);

/// Time until a comparison that took too long is tried again.
const PAUSE_AFTER_TIMEOUT: Duration = Duration::from_mins(1);

/// The result of the first connection's comparison, shared by all connections. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SessionSharing {
    options: Arc<PgConnectOptions>,
    time_limit: Duration,
    is_shared: Arc<OnceCell<bool>>,
    /// When a comparison took too long.
    timed_out: Arc<Mutex<Option<Instant>>>,
}

impl SessionSharing {
    /// For connections with these options; connecting and comparing together may take `connect_timeout`.
    pub(crate) fn new(options: Arc<PgConnectOptions>, connect_timeout: Duration) -> Self {
        let time_limit = COMPARISON_TIMEOUT.min(connect_timeout / 2);
        Self { options, time_limit, is_shared: Arc::default(), timed_out: Arc::default() }
    }

    /// Whether other clients get the session of this connection. Compares it with a second one, unless connections were
    /// compared before.
    ///
    /// A pooler that makes the second connection wait counts as a pooler in session mode, where each client has its
    /// session until it disconnects. This result is kept for a minute only, since a pooler in transaction mode also
    /// makes it wait while all of its sessions are in transactions.
    ///
    /// # Errors
    /// [`sqlx::Error`] when there is no second connection, as when the server has none left.
    pub(crate) async fn is_shared(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        if let Some(is_shared) = self.is_shared.get() {
            return Ok(*is_shared);
        }
        if self.last_timeout().is_some_and(|instant| instant.elapsed() < PAUSE_AFTER_TIMEOUT) {
            return Ok(false);
        }
        // It may have to wait for a session itself.
        connection.ping().await?;
        let compared = self.is_shared.get_or_try_init(move || async move {
            let mut probe = PgConnection::connect_with(&self.options).await?;
            let is_shared = shares_sessions(connection, &mut probe).await;
            // The result is known: an error while closing does not matter.
            drop(probe.close().await);
            is_shared
        });
        match timeout(self.time_limit, compared).await {
            Ok(compared) => compared.copied(),
            Err(_elapsed) => {
                *self.timed_out.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                Ok(false)
            }
        }
    }

    fn last_timeout(&self) -> Option<Instant> {
        *self.timed_out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
