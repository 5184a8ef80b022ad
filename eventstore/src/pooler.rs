//! Detects a session-sharing pooler between this program and Postgres, such as `PgBouncer` with
//! `pool_mode=transaction`.
//!
//! The program works behind one: leadership is a lease, and locks belong to transactions. Only prepared statements have
//! to follow their client from session to session, which such poolers support if configured.

use sqlx::{Connection, Executor, PgConnection, PgPool, Row};
use tokio::time::{Duration, timeout};

use crate::{
    error::{LogError, postgres_error},
    postgres::{connect, with_timeout},
};

/// `application_name` of the connections that probe.
const APPLICATION_NAME: &str = "medhub doctor";
/// Number of probes of each kind: by chance, a pooler with many free sessions may give the clients different ones.
const PROBE_COUNT: usize = 12;
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A detected pooler that shares sessions between clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSharingPooler {
    /// Whether a client's prepared statements work in every session that it gets.
    pub keeps_prepared_statements: bool,
}

impl SessionSharingPooler {
    /// Advice to the operator, for a diagnosis.
    pub fn advice(self) -> &'static str {
        if self.keeps_prepared_statements {
            "a pooler in transaction mode shares sessions between clients (PgBouncer pool_mode=transaction): \
             leadership is a lease, which works through a pooler; but each statement takes one more network hop, and a \
             hung server process blocks the client that gets it: set DATABASE_URL to the server itself, or \
             pool_mode=session, if possible"
        } else {
            "a pooler in transaction mode shares sessions between clients and loses their prepared statements: set \
             DATABASE_URL to the server itself, or pool_mode=session, or use PgBouncer 1.21 or later with \
             max_prepared_statements=200"
        }
    }
}

/// Detects whether sessions are shared. Without a pooler, two clients that are connected at the same time have
/// different server processes, and each keeps its own.
///
/// # Errors
/// [`LogError`] when Postgres does not answer.
pub async fn detect_pooler(pool: &PgPool) -> Result<Option<SessionSharingPooler>, LogError> {
    with_timeout(PROBE_TIMEOUT, "detecting a pooler", async {
        let mut one = connect(pool, APPLICATION_NAME).await?;
        let mut other = connect(pool, APPLICATION_NAME).await?;
        let shared = shares_sessions(&mut one, &mut other).await?;
        let found = if shared {
            Some(SessionSharingPooler {
                keeps_prepared_statements: keeps_prepared_statements(&mut one, &mut other).await,
            })
        } else {
            None
        };
        for connection in [one, other] {
            // The result is known: an error while closing does not matter.
            drop(timeout(PROBE_TIMEOUT, connection.close()).await);
        }
        Ok(found)
    })
    .await
}

/// Whether two clients that are connected at the same time are answered by the same server process, or one of them by
/// several.
///
/// # Errors
/// [`LogError::Postgres`] when Postgres does not answer.
pub(crate) async fn shares_sessions(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, LogError> {
    let mut first = None;
    for _ in 0..PROBE_COUNT {
        let (mine, others) = (backend_pid(one).await?, backend_pid(other).await?);
        let (known, known_other) = *first.get_or_insert((mine, others));
        if mine == others || mine != known || others != known_other {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the id of the server process that answers. Uses the simple protocol, which needs no prepared statement.
async fn backend_pid(connection: &mut PgConnection) -> Result<i32, LogError> {
    let doing = || postgres_error("reading the server process's id");
    let row = connection.fetch_one("select pg_backend_pid()").await.map_err(doing())?;
    row.try_get(0).map_err(doing())
}

/// Lets two clients prepare different statements, to which the driver gives the same name, and execute them in turn.
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
