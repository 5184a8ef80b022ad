//! Detects a session-sharing pooler between this program and Postgres, such as `PgBouncer` with
//! `pool_mode=transaction`.
//!
//! The program works behind one: leadership is a lease, and locks belong to transactions. Only prepared statements have
//! to follow their client from session to session, which such poolers support if configured; and a client has to keep
//! its session during a transaction, which it does not with `pool_mode=statement`.

use engine_security::refuses_session_settings;
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
    /// Whether a client keeps its session during a transaction.
    pub allows_transactions: bool,
    /// Whether a client's prepared statements work in every session that it gets.
    pub keeps_prepared_statements: bool,
}

impl SessionSharingPooler {
    /// Whether the program works behind it.
    pub fn is_usable(self) -> bool {
        self.allows_transactions && self.keeps_prepared_statements
    }

    /// Advice to the operator, for a diagnosis. `variable` has the address of the database.
    pub fn advice(self, variable: &str) -> String {
        if self.is_usable() {
            format!(
                "a pooler in transaction mode shares sessions between clients (PgBouncer pool_mode=transaction): \
                 leadership is a lease, which works through a pooler; but the relay polls for new events instead of being \
                 woken up, appends wait longer for a lock, each statement takes one more network hop, and a hung server \
                 process blocks the client that gets it: set {variable} to the server itself, or pool_mode=session, if \
                 possible"
            )
        } else if self.allows_transactions {
            format!(
                "a pooler in transaction mode shares sessions between clients and loses their prepared statements: set \
                 {variable} to the server itself, or pool_mode=session, or use PgBouncer 1.21 or later with \
                 max_prepared_statements=200"
            )
        } else {
            format!(
                "a pooler shares sessions between clients within a transaction (PgBouncer pool_mode=statement): set \
                 {variable} to the server itself, or pool_mode=session"
            )
        }
    }
}

/// Detects whether sessions are shared. Without a pooler, two clients that are connected at the same time have
/// different server processes, and each keeps its own.
///
/// # Errors
/// [`LogError`] when Postgres does not answer, or became unavailable meanwhile: then a pooler may or may not be usable.
pub async fn detect_pooler(pool: &PgPool) -> Result<Option<SessionSharingPooler>, LogError> {
    with_timeout(PROBE_TIMEOUT, "detecting a pooler", async {
        let mut one = connect(pool, APPLICATION_NAME).await?;
        let mut other = connect(pool, APPLICATION_NAME).await?;
        let shared = shares_sessions(&mut one, &mut other).await.map_err(postgres_error(COMPARING))?;
        let found = if shared {
            let keeps_prepared_statements =
                keeps_prepared_statements(&mut one, &mut other).await.map_err(postgres_error(PROBING))?;
            // Last, since the pooler closes the connection of a client that it allows no transaction.
            let allows_transactions = allows_transactions(&mut one).await.map_err(postgres_error(PROBING))?;
            Some(SessionSharingPooler { allows_transactions, keeps_prepared_statements })
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

/// What [`detect_pooler`] does behind a pooler, for its errors.
const PROBING: &str = "probing a pooler";

/// What [`shares_sessions`] does, for its errors.
pub(crate) const COMPARING: &str = "reading the server processes' ids";

/// Whether two clients that are connected at the same time are answered by the same server process, or one of them by
/// several.
///
/// # Errors
/// [`sqlx::Error`] when Postgres does not answer.
pub(crate) async fn shares_sessions(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
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

/// Whether a pooler has refused a connection because of the settings of its session.
pub(crate) fn refuses_settings(error: &sqlx::Error) -> bool {
    let refused = error.as_database_error();
    refused.is_some_and(|error| refuses_session_settings(error.code().as_deref(), error.message()))
}

/// Returns the id of the server process that answers. Uses the simple protocol, which needs no prepared statement.
async fn backend_pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one("select pg_backend_pid()").await?.try_get(0)
}

/// Uses the simple protocol, too.
async fn allows_transactions(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for statement in ["begin", "select 1", "rollback"] {
        if let Err(error) = connection.execute(statement).await {
            return judge_failure(error);
        }
    }
    Ok(true)
}

/// Lets two clients prepare different statements under the same name, which the driver chooses, and execute them in
/// turn.
async fn keeps_prepared_statements(one: &mut PgConnection, other: &mut PgConnection) -> Result<bool, sqlx::Error> {
    for _ in 0..PROBE_COUNT {
        let mine: Result<i32, _> = sqlx::query_scalar("select 1 + $1").bind(1).fetch_one(&mut *one).await;
        let others: Result<i32, _> = sqlx::query_scalar("select 10 + $1").bind(1).fetch_one(&mut *other).await;
        for (answer, expected) in [(mine, 2), (others, 11)] {
            match answer {
                Ok(sum) if sum == expected => {}
                Ok(_) => return Ok(false),
                Err(error) => return judge_failure(error),
            }
        }
    }
    Ok(true)
}

/// `false` if the pooler does not support it; the error itself if it is transient. A statement of another client under
/// the same name fails in many ways, so transient errors are identified by their SQLSTATE, and all others count as
/// lacking support.
fn judge_failure(error: sqlx::Error) -> Result<bool, sqlx::Error> {
    let is_transient = match error.as_database_error() {
        Some(error) => error.code().is_some_and(|code| is_transient(&code)),
        None => matches!(error, sqlx::Error::Io(_) | sqlx::Error::Tls(_)),
    };
    if is_transient { Err(error) } else { Ok(false) }
}

/// Whether an error has nothing to do with the pooler's mode: a lost connection, a lack of resources, a shutdown. The
/// pooler ends a transaction that it does not allow by a violation of the protocol.
fn is_transient(sqlstate: &str) -> bool {
    sqlstate != "08P01" && ["08", "53", "57", "58"].iter().any(|class| sqlstate.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_no_lack_of_the_pooler() {
        for lack in ["26000", "42P05", "08P01", "22P03", "42601"] {
            assert!(!is_transient(lack), "{lack}");
        }
        for passing in ["08006", "53300", "57014", "57P01", "57P03", "58030"] {
            assert!(is_transient(passing), "{passing}");
        }
        assert!(judge_failure(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into())).is_err());
        assert!(!judge_failure(sqlx::Error::RowNotFound).unwrap());
    }

    #[test]
    fn the_advice_says_what_has_to_change() {
        let advice = |allows_transactions, keeps_prepared_statements| {
            let found = SessionSharingPooler { allows_transactions, keeps_prepared_statements };
            (found.is_usable(), found.advice("DATABASE_URL"))
        };
        for (found, is_usable, remedy) in [
            (advice(true, true), true, "set DATABASE_URL to the server itself, or pool_mode=session, if possible"),
            (advice(true, false), false, "PgBouncer 1.21 or later with max_prepared_statements=200"),
            (advice(false, true), false, "PgBouncer pool_mode=statement): set DATABASE_URL to"),
            (advice(false, false), false, "PgBouncer pool_mode=statement): set DATABASE_URL to"),
        ] {
            assert_eq!(found.0, is_usable, "{}", found.1);
            assert!(found.1.contains(remedy), "{}", found.1);
        }
    }
}
