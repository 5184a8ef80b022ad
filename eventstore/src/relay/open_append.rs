//! Reports the open appends that delay the relay.
//!
//! The relay has to wait for an append that may still commit. After a threshold it reports the transaction by a log
//! line and a metric, with process, application, age and query, since nothing else shows what it waits for.

use std::{collections::HashMap, time::Duration};

use domain::error_chain::format_error_chain;
use serde::Serialize;
use sqlx::{FromRow, PgPool, Row as _, postgres::PgRow};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{RelayStatus, relay_metrics};
use crate::{
    error::{LogError, postgres_error},
    postgres::with_timeout,
};

/// Interval at which open appends are queried.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit of the query.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);
/// Interval at which an append that is still open is logged again.
const REMINDER_INTERVAL: Duration = Duration::from_mins(1);

/// A transaction that has appended and has not ended. The log is complete only below its first position.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpenAppend {
    /// Id of the server process; 0 for a prepared transaction, which has none.
    pub pid: i32,
    /// The client's `application_name`.
    pub application: String,
    /// The role that the client logged in with.
    pub login: String,
    /// The state of the session, e.g. `idle in transaction`; `prepared` for a prepared transaction.
    pub state: String,
    /// Age of the transaction, in seconds.
    pub age_s: Option<f64>,
    /// The session's last statement, shortened to 200 characters.
    pub query: String,
    /// The name under which the transaction was prepared, to be used with `COMMIT PREPARED` or `ROLLBACK PREPARED`.
    pub prepared_as: Option<String>,
    /// The log is complete up to this position until the transaction ends.
    pub position: u64,
}

impl FromRow<'_, PgRow> for OpenAppend {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let position: i64 = row.try_get("position")?;
        Ok(Self {
            pid: row.try_get("pid")?,
            application: row.try_get("application")?,
            login: row.try_get("login")?,
            state: row.try_get("state")?,
            age_s: row.try_get("age_s")?,
            query: row.try_get("query")?,
            prepared_as: row.try_get("prepared_as")?,
            position: u64::try_from(position).map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    }
}

impl OpenAppend {
    fn key(&self) -> (i32, Option<String>, u64) {
        (self.pid, self.prepared_as.clone(), self.position)
    }
}

/// Polls for open appends until the task is cancelled. A failed query is logged at debug level only: the relay itself
/// notices when Postgres is unavailable.
pub(super) async fn watch_open_appends(pool: PgPool, status: watch::Sender<RelayStatus>, slow: Duration) {
    let mut ticks = interval(POLL_INTERVAL.min(slow.max(Duration::from_millis(50))));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut observed: HashMap<_, ObservedAppend> = HashMap::new();
    loop {
        ticks.tick().await;
        let loaded = with_timeout(POLL_TIMEOUT, "querying open appends", load_open_appends(&pool)).await;
        let open_appends = match loaded {
            Ok(open_appends) => open_appends,
            Err(error) => {
                tracing::debug!(error = format_error_chain(&error), "querying open appends failed");
                continue;
            }
        };
        observed.retain(|key, previous| {
            let is_open = open_appends.iter().any(|append| append.key() == *key);
            if !is_open && previous.reported_at.is_some() {
                tracing::info!(append.pid = key.0, "the append that delayed the relay has ended");
            }
            is_open
        });
        let mut delaying = Vec::new();
        for append in open_appends {
            let known = observed.entry(append.key()).or_insert_with(ObservedAppend::start_observing);
            if known.first_seen.elapsed() >= slow {
                known.report(&append);
                delaying.push(append);
            }
        }
        relay_metrics::set_open_append_age(oldest_age_s(&delaying));
        status.send_if_modified(|status| {
            let changed = status.delayed_by != delaying;
            status.delayed_by = delaying;
            changed
        });
    }
}

/// An open append, and when it was first seen: its transaction may be much older than the append.
struct ObservedAppend {
    first_seen: Instant,
    reported_at: Option<Instant>,
}

impl ObservedAppend {
    fn start_observing() -> Self {
        Self { first_seen: Instant::now(), reported_at: None }
    }

    fn report(&mut self, append: &OpenAppend) {
        if self.reported_at.is_some_and(|at| at.elapsed() < REMINDER_INTERVAL) {
            return;
        }
        self.reported_at = Some(Instant::now());
        tracing::warn!(
            append.pid = append.pid,
            append.application = append.application,
            append.login = append.login,
            append.state = append.state,
            append.age_s = append.age_s,
            append.query = append.query,
            append.prepared_as = append.prepared_as,
            append.position = append.position,
            delay_s = self.first_seen.elapsed().as_secs_f64(),
            "an open append delays the relay, which resumes when the transaction ends (pg_terminate_backend, ROLLBACK \
             PREPARED)"
        );
    }
}

/// The age of the oldest of these transactions, in seconds; 0 without one.
fn oldest_age_s(appends: &[OpenAppend]) -> f64 {
    appends.iter().filter_map(|append| append.age_s).fold(0.0, f64::max)
}

async fn load_open_appends(pool: &PgPool) -> Result<Vec<OpenAppend>, LogError> {
    sqlx::query_as(include_str!("open_append/holders.sql"))
        .fetch_all(pool)
        .await
        .map_err(postgres_error("querying open appends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_append(age_s: Option<f64>) -> OpenAppend {
        OpenAppend {
            pid: 1,
            application: "psql".to_owned(),
            login: "ada".to_owned(),
            state: "idle in transaction".to_owned(),
            age_s,
            query: "insert into events".to_owned(),
            prepared_as: None,
            position: 1,
        }
    }

    #[test]
    fn a_younger_append_does_not_hide_an_older_one() {
        let appends = [Some(60.0), Some(7.0), None].map(open_append);
        assert!((oldest_age_s(&appends) - 60.0).abs() < f64::EPSILON);
        assert!(oldest_age_s(&[]).abs() < f64::EPSILON);
    }
}
