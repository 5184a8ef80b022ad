//! A relay's sign of life, once a second, so that `medhub status` says what is wrong from wherever it is asked.

use std::time::Duration;

use sqlx::PgPool;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::RelayStatus;
use crate::{
    error::{format_error_chain, postgres_error},
    postgres::{host_and_pid, with_timeout},
};

const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a sign of life may take.
const HEARTBEAT_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// Tells what `status` says until it is dropped or cancelled.
pub(super) async fn send_heartbeats(pool: PgPool, status: watch::Receiver<RelayStatus>, instance: Uuid) {
    let host = host_and_pid();
    let mut ticks = interval(HEARTBEAT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = status.borrow().clone();
        let told = async {
            sqlx::query(include_str!("pulse/beat.sql"))
                .bind(instance)
                .bind(&host)
                .bind(now.state())
                .bind(i64::try_from(now.position).unwrap_or(i64::MAX))
                .bind(&now.last_error)
                .execute(&pool)
                .await
                .map_err(postgres_error("noting what a relay does"))
        };
        if let Err(error) = with_timeout(HEARTBEAT_WRITE_TIMEOUT, "noting what a relay does", told).await {
            // The relay itself says so, too, if it lasts.
            tracing::debug!(error = format_error_chain(&error), "no sign of life was given");
        }
    }
}

/// Takes a relay off the list.
pub(super) async fn remove_instance(pool: &PgPool, instance: Uuid) {
    let leaving = async {
        sqlx::query("delete from relay_instances where instance = $1")
            .bind(instance)
            .execute(pool)
            .await
            .map_err(postgres_error("forgetting a relay"))
    };
    if let Err(error) = with_timeout(HEARTBEAT_WRITE_TIMEOUT, "forgetting a relay", leaving).await {
        tracing::debug!(error = format_error_chain(&error), "a relay that ended is on the list for some seconds yet");
    }
}
