//! Transactions of other clients, open for a whole run; they must not hold up the relay.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::append_writer::writer_session::WriterSession;

/// The table that foreign transactions write to.
pub const CREATE_TABLE: &str = "create table if not exists fault_foreign (n int)";

/// The statements of each transaction before it idles.
const OPENING_STATEMENTS: [&[&str]; 4] = [
    // It has written, and its client idles.
    &["begin", "insert into fault_foreign values (1)"],
    // Its transaction id is older than every append's.
    &["begin", "select pg_current_xact_id()"],
    // It holds the oldest snapshot, as a report or a dump does.
    &["begin isolation level repeatable read", "select count(*) from events"],
    // It holds advisory locks of its own.
    &["begin", "select pg_advisory_xact_lock(4711), pg_advisory_xact_lock_shared(1, 2)"],
];

/// The open transactions.
#[derive(Debug)]
pub struct ForeignTransactions {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<u64>>>,
    session: WriterSession,
    prepared: String,
}

impl ForeignTransactions {
    /// Opens all of them, and a prepared one.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let mut session = WriterSession::new(url, "faults-foreign");
        let prepared = format!("{}-foreign", url.rsplit('/').next().unwrap_or_default());
        let connection = session.connection().await?;
        connection.execute(CREATE_TABLE).await?;
        connection.execute("begin").await?;
        connection.execute("insert into fault_foreign values (2)").await?;
        connection.execute(format!("prepare transaction '{prepared}'").as_str()).await?;
        let stop = CancellationToken::new();
        let mut tasks = Vec::new();
        for opening in OPENING_STATEMENTS {
            let session = WriterSession::new(url, "faults-foreign");
            let first = begin_transaction(session.connect_another().await?, opening).await?;
            tasks.push(tokio::spawn(hold_transaction(session, first, opening, stop.clone())));
        }
        Ok(Self { stop, tasks, session, prepared })
    }

    /// Ends all of them; returns how often one was opened again because the server had been killed.
    ///
    /// # Errors
    /// If the database stays unavailable.
    pub async fn close(mut self) -> anyhow::Result<u64> {
        self.stop.cancel();
        let mut reopened = 0;
        for task in self.tasks {
            reopened += task.await??;
        }
        let end = format!("rollback prepared '{}'", self.prepared);
        self.session.drop_connection();
        self.session.connection().await?.execute(end.as_str()).await?;
        Ok(reopened)
    }
}

async fn begin_transaction(mut connection: PgConnection, opening: &[&str]) -> Result<PgConnection, sqlx::Error> {
    for statement in opening {
        connection.execute(*statement).await?;
    }
    Ok(connection)
}

/// Keeps a transaction idle; opens it again after the server was killed.
async fn hold_transaction(
    session: WriterSession,
    mut connection: PgConnection,
    opening: &'static [&'static str],
    stop: CancellationToken,
) -> anyhow::Result<u64> {
    let mut reopened = 0;
    loop {
        // Rarely, so that the transaction idles; within it, so that it stays open.
        let pinged = tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(Duration::from_millis(700)) => connection.ping().await,
        };
        if pinged.is_err()
            && let Ok(reopened_connection) = begin_transaction(session.connect_another().await?, opening).await
        {
            connection = reopened_connection;
            reopened += 1;
        }
    }
    // An error does not matter: the transaction ends with the connection.
    let _closed = connection.close().await;
    Ok(reopened)
}
