//! Transactions of other clients: open for a whole run, and irrelevant to the relay.

use std::time::Duration;

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::append_writer::writer_session::WriterSession;

/// The table that foreign transactions write to.
pub const CREATE_TABLE: &str = "create table if not exists fault_foreign (n int)";

/// What each of them does before it idles.
const OPENING_STATEMENTS: [&[&str]; 4] = [
    // Has written, and its client is idle.
    &["begin", "insert into fault_foreign values (1)"],
    // Has an id older than every append.
    &["begin", "select pg_current_xact_id()"],
    // A report or a dump: holds the oldest snapshot.
    &["begin isolation level repeatable read", "select count(*) from events"],
    // A connection that sits on advisory locks of its own.
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
    /// Opens them all, one of them prepared.
    ///
    /// # Errors
    /// If the database does not let them.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let mut session = WriterSession::new(url, "faults-foreign");
        let prepared = format!("{}-foreign", url.rsplit('/').next().unwrap_or_default());
        let connection = session.connection().await?;
        connection.execute(CREATE_TABLE).await?;
        connection.execute("begin").await?;
        connection.execute("insert into fault_foreign values (2)").await?;
        connection.execute(format!("prepare transaction '{prepared}'").as_str()).await?;
        let stop = CancellationToken::new();
        let mut holders = Vec::new();
        for opening in OPENING_STATEMENTS {
            let session = WriterSession::new(url, "faults-foreign");
            let first = begin(session.another().await?, opening).await?;
            holders.push(tokio::spawn(hold(session, first, opening, stop.clone())));
        }
        Ok(Self { stop, tasks: holders, session, prepared })
    }

    /// Ends them all; answers how many had to be opened again because the server was killed.
    ///
    /// # Errors
    /// If the database stays away.
    pub async fn close(mut self) -> anyhow::Result<u64> {
        self.stop.cancel();
        let mut reopened = 0;
        for holder in self.tasks {
            reopened += holder.await??;
        }
        let end = format!("rollback prepared '{}'", self.prepared);
        self.session.drop_connection();
        self.session.connection().await?.execute(end.as_str()).await?;
        Ok(reopened)
    }
}

async fn begin(mut connection: PgConnection, opening: &[&str]) -> Result<PgConnection, sqlx::Error> {
    for statement in opening {
        connection.execute(*statement).await?;
    }
    Ok(connection)
}

/// Keeps a transaction idle; opens it again after the server was killed.
async fn hold(
    session: WriterSession,
    mut connection: PgConnection,
    opening: &'static [&'static str],
    stop: CancellationToken,
) -> anyhow::Result<u64> {
    let mut reopened = 0;
    loop {
        // Seldom, so that it idles; inside its transaction, so that it stays open.
        let looked = tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(Duration::from_millis(700)) => connection.ping().await,
        };
        if looked.is_err()
            && let Ok(again) = begin(session.another().await?, opening).await
        {
            connection = again;
            reopened += 1;
        }
    }
    // Whether the rollback still reaches the server does not matter: the connection ends with it.
    let _ended = connection.close().await;
    Ok(reopened)
}
