//! Measures how far the relay is behind the log, whichever process leads, so that it is also known while no relay publishes.

use std::time::Duration;

use domain::error_chain::format_error_chain;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval};

use super::relay_metrics;
use crate::{
    error::{LogError, postgres_error},
    postgres::with_timeout,
};

const MEASURE_INTERVAL: Duration = Duration::from_secs(5);
/// Time limit of a measurement.
const MEASURE_TIMEOUT: Duration = Duration::from_secs(4);

/// Measures until the task is cancelled. A failed query is logged at debug level only: the relay itself notices when
/// Postgres is unavailable.
pub(super) async fn monitor_lag(pool: PgPool) {
    let mut ticks = interval(MEASURE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match with_timeout(MEASURE_TIMEOUT, "measuring the lag of the relay", load_lag(&pool)).await {
            Ok((events, age_s)) => relay_metrics::set_lag(events.unsigned_abs(), age_s.max(0.0)),
            Err(error) => tracing::debug!(error = format_error_chain(&error), "lag of the relay not measured"),
        }
    }
}

/// The number of events that are not on Kafka, and the age of the oldest of them in seconds.
async fn load_lag(pool: &PgPool) -> Result<(i64, f64), LogError> {
    sqlx::query_as(include_str!("lag_monitor/lag.sql"))
        .fetch_one(pool)
        .await
        .map_err(postgres_error("measuring the lag of the relay"))
}
