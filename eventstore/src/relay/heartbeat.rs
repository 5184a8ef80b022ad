//! Writes the state of a relay to Postgres, so that `medhub status` shows it on any host: once a second while it changes.

use std::time::Duration;

use domain::error_chain::format_error_chain;
use sqlx::PgPool;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::RelayStatus;
use crate::{
    error::postgres_error,
    postgres::{host_and_pid, with_timeout},
};

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A state that has not changed is written again after this time: a third of the time after which a relay without a
/// heartbeat counts as dead.
const UNCHANGED_INTERVAL: Duration = Duration::from_secs(3);
/// Time limit of writing a heartbeat.
const HEARTBEAT_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Writes `status` until the task is cancelled.
pub(super) async fn send_heartbeats(pool: PgPool, status: watch::Receiver<RelayStatus>, instance: Uuid) {
    let host = host_and_pid();
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written = None;
    loop {
        ticks.tick().await;
        let current = status.borrow().clone();
        let shown = (current.state(), current.position, current.last_error.clone());
        let is_written = |(before, at): &(_, Instant)| *before == shown && at.elapsed() < UNCHANGED_INTERVAL;
        if written.as_ref().is_some_and(is_written) {
            continue;
        }
        let written_at = Instant::now();
        let writing = async {
            sqlx::query(include_str!("heartbeat/save.sql"))
                .bind(instance)
                .bind(&host)
                .bind(current.state())
                .bind(i64::try_from(current.position).unwrap_or(i64::MAX))
                .bind(&current.last_error)
                .execute(&pool)
                .await
                .map(drop)
                .map_err(postgres_error("writing a relay's heartbeat"))
        };
        written = match with_timeout(HEARTBEAT_WRITE_TIMEOUT, "writing a relay's heartbeat", writing).await {
            Ok(()) => Some((shown, written_at)),
            Err(error) => {
                // If Postgres remains unavailable, the relay itself reports it.
                tracing::debug!(error = format_error_chain(&error), "heartbeat not written");
                None
            }
        };
    }
}

/// Removes a relay from the list of instances.
pub(super) async fn remove_instance(pool: &PgPool, instance: Uuid) {
    let removing = async {
        sqlx::query("delete from relay_instances where instance = $1")
            .bind(instance)
            .execute(pool)
            .await
            .map_err(postgres_error("removing a relay instance"))
    };
    if let Err(error) = with_timeout(HEARTBEAT_WRITE_TIMEOUT, "removing a relay instance", removing).await {
        tracing::debug!(
            error = format_error_chain(&error),
            "relay instance not removed; it is listed until its heartbeat expires"
        );
    }
}
