//! Names the open appends that hold the relay up.
//!
//! The relay rightly waits for an append that may still commit. Whose it is nobody sees from outside, so after a while
//! the relay says it: by a line in the log and by a metric, with process, application, age and query.

use std::{collections::HashMap, time::Duration};

use serde::Serialize;
use sqlx::{FromRow, PgPool};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{RelayStatus, metric};
use crate::{
    error::{LogError, chain, postgres},
    postgres::within,
};

/// How often open appends are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a look may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often one that stays is named again.
const REMIND_EVERY: Duration = Duration::from_mins(1);

/// A transaction that has appended and has not ended, so that the log is not complete behind its first position.
#[derive(Debug, Clone, PartialEq, Serialize, FromRow)]
pub struct OpenAppend {
    /// The server process; 0 for a prepared transaction, which has none.
    pub pid: i32,
    /// What the client calls itself.
    pub application: String,
    /// The role it logged in with.
    pub login: String,
    /// The state of the session, e.g. `idle in transaction`; `prepared` for a prepared transaction.
    pub state: String,
    /// Since when the transaction is open, in seconds.
    pub age_s: Option<f64>,
    /// The session's last statement, shortened.
    pub query: String,
    /// The name under which the transaction was prepared, to be used with `COMMIT PREPARED` or `ROLLBACK PREPARED`.
    pub prepared_as: Option<String>,
    /// The log is complete up to here until it ends.
    #[sqlx(try_from = "i64")]
    pub position: u64,
}

impl OpenAppend {
    fn key(&self) -> (i32, Option<String>, u64) {
        (self.pid, self.prepared_as.clone(), self.position)
    }
}

/// Looks until it is dropped. A look that fails is only reported: the relay itself notices when Postgres is away.
pub(super) async fn watch(pool: PgPool, status: watch::Sender<RelayStatus>, slow: Duration) {
    let mut ticks = interval(LOOK_EVERY.min(slow.max(Duration::from_millis(50))));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen: HashMap<_, Seen> = HashMap::new();
    loop {
        ticks.tick().await;
        let looked = within(PATIENCE, "looking for open appends", holders(&pool)).await;
        let holders = match looked {
            Ok(holders) => holders,
            Err(error) => {
                tracing::debug!(error = chain(&error), "open appends were not looked at");
                continue;
            }
        };
        seen.retain(|key, before| {
            let stays = holders.iter().any(|holder| holder.key() == *key);
            if !stays && before.named.is_some() {
                metric::open_append(&before.append, 0.0);
                tracing::info!(append.pid = before.append.pid, "the append that held the relay up has ended");
            }
            stays
        });
        let mut delaying = Vec::new();
        for holder in holders {
            let known = seen.entry(holder.key()).or_insert_with(|| Seen::now(&holder));
            if known.since.elapsed() >= slow {
                known.name(&holder);
                delaying.push(holder);
            }
        }
        status.send_if_modified(|status| {
            let changed = status.delayed_by != delaying;
            status.delayed_by = delaying;
            changed
        });
    }
}

/// An open append since it was first seen: its own age may be that of a transaction that appended only now.
struct Seen {
    since: Instant,
    named: Option<Instant>,
    /// As it was named, so that the same metric can be ended.
    append: OpenAppend,
}

impl Seen {
    fn now(append: &OpenAppend) -> Self {
        Self { since: Instant::now(), named: None, append: append.clone() }
    }

    fn name(&mut self, append: &OpenAppend) {
        metric::open_append(&self.append, append.age_s.unwrap_or_default());
        if self.named.is_some_and(|at| at.elapsed() < REMIND_EVERY) {
            return;
        }
        self.named = Some(Instant::now());
        tracing::warn!(
            append.pid = append.pid,
            append.application = append.application,
            append.login = append.login,
            append.state = append.state,
            append.age_s = append.age_s,
            append.query = append.query,
            append.prepared_as = append.prepared_as,
            append.position = append.position,
            delay_s = self.since.elapsed().as_secs_f64(),
            "an open append holds the relay up; end its transaction (pg_terminate_backend, ROLLBACK PREPARED) to go on"
        );
    }
}

async fn holders(pool: &PgPool) -> Result<Vec<OpenAppend>, LogError> {
    sqlx::query_as(include_str!("open_append/holders.sql"))
        .fetch_all(pool)
        .await
        .map_err(postgres("looking for open appends"))
}
