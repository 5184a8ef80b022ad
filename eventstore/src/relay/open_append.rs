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
                relay_metrics::set_open_append_age(&previous.append, 0.0);
                tracing::info!(append.pid = previous.append.pid, "the append that delayed the relay has ended");
            }
            is_open
        });
        let mut delaying = Vec::new();
        for append in open_appends {
            let known = observed.entry(append.key()).or_insert_with(|| ObservedAppend::start_observing(&append));
            if known.first_seen.elapsed() >= slow {
                known.report(&append);
                delaying.push(append);
            }
        }
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
    /// The append as it was first seen: its metric is set and reset under these labels.
    append: OpenAppend,
}

impl ObservedAppend {
    fn start_observing(append: &OpenAppend) -> Self {
        Self { first_seen: Instant::now(), reported_at: None, append: append.clone() }
    }

    fn report(&mut self, append: &OpenAppend) {
        relay_metrics::set_open_append_age(&self.append, append.age_s.unwrap_or_default());
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

async fn load_open_appends(pool: &PgPool) -> Result<Vec<OpenAppend>, LogError> {
    sqlx::query_as(include_str!("open_append/holders.sql"))
        .fetch_all(pool)
        .await
        .map_err(postgres_error("querying open appends"))
}
