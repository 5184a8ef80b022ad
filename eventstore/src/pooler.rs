//! Finds a pooler between this program and Postgres that gives one session to several clients in turn (`PgBouncer` with
//! `pool_mode=transaction`, and its like).
//!
//! Nothing of this program depends on a session any more: leads are leases, locks are those of transactions. Only
//! prepared statements have to travel with their client, which such poolers do if they are told to.

use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use tokio::time::{Duration, timeout};

use crate::{
    error::{LogError, postgres_error},
    postgres::{connect, with_timeout},
};

/// What the connections that look call themselves.
const APPLICATION_NAME: &str = "medhub doctor";
/// Times that both sides are asked: a pooler with many free sessions may give out different ones.
const PROBE_COUNT: usize = 12;
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pooler that shares sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSharingPooler {
    /// Whether a prepared statement is found again by the client that prepared it.
    pub keeps_prepared_statements: bool,
}

impl SessionSharingPooler {
    /// What a person should know and do.
    pub fn advice(self) -> &'static str {
        if self.keeps_prepared_statements {
            "a pooler in transaction mode shares sessions between clients (PgBouncer pool_mode=transaction): who leads is \
             a lease and works through it; give DATABASE_URL the server itself, or pool_mode=session, where you can: \
             each statement costs a hop, and one hung server process holds up whoever gets it"
        } else {
            "a pooler in transaction mode shares sessions between clients and loses their prepared statements: give \
             DATABASE_URL the server itself, or set pool_mode=session, or PgBouncer 1.21 or later with \
             max_prepared_statements=200"
        }
    }
}

/// Looks whether sessions are shared: two clients that are connected at the same time never have the same server
/// process, and none changes its own.
///
/// # Errors
/// [`LogError`] when Postgres does not answer.
pub async fn detect_pooler(pool: &PgPool) -> Result<Option<SessionSharingPooler>, LogError> {
    with_timeout(PROBE_TIMEOUT, "looking for a pooler", async {
        let mut one = connect(pool, APPLICATION_NAME).await?;
        let mut other = connect(pool, APPLICATION_NAME).await?;
        let (mut first, mut shared) = (None, false);
        for _ in 0..PROBE_COUNT {
            let (mine, others) = (backend_pid(&mut one).await?, backend_pid(&mut other).await?);
            let (known, known_other) = *first.get_or_insert((mine, others));
            shared |= mine == others || mine != known || others != known_other;
        }
        let found = if shared {
            Some(SessionSharingPooler {
                keeps_prepared_statements: keeps_prepared_statements(&mut one, &mut other).await,
            })
        } else {
            None
        };
        for connection in [one, other] {
            // What was to be found out is known.
            drop(timeout(PROBE_TIMEOUT, connection.close()).await);
        }
        Ok(found)
    })
    .await
}

/// By the simple protocol, which needs no prepared statement.
async fn backend_pid(connection: &mut PgConnection) -> Result<i32, LogError> {
    let doing = || postgres_error("asking which server process answers");
    let row = connection.fetch_one("select pg_backend_pid()").await.map_err(doing())?;
    row.try_get(0).map_err(doing())
}

/// Two clients prepare different statements, which drivers give the same name, and use them in turn.
async fn keeps_prepared_statements(one: &mut PgConnection, other: &mut PgConnection) -> bool {
    for _ in 0..PROBE_COUNT {
        let mine: Result<i32, _> = sqlx::query_scalar("select 1 + $1").bind(1).fetch_one(&mut *one).await;
        let others: Result<i32, _> = sqlx::query_scalar("select 10 + $1").bind(1).fetch_one(&mut *other).await;
        if !matches!((mine, others), (Ok(2), Ok(11))) {
            return false;
        }
    }
    true
}
