//! Timers of instances as they are stored, in the table `process_timers`: in one transaction with the decision that sets or
//! cancels them.

use sqlx::{Postgres, Transaction};

use super::{InputCause, InstanceKey, InstanceStoreError, postgres_error};

/// A timer as a decision sets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimerToSet {
    pub(super) after_s: f64,
    /// Version of the instance that sets it.
    pub(super) version: i64,
    pub(super) cause: InputCause,
}

/// Stores these timers of a process; each replaces the one of its name.
pub(super) async fn set_timers(
    transaction: &mut Transaction<'static, Postgres>,
    process: &str,
    timers: &[(&InstanceKey, &str, TimerToSet)],
) -> Result<(), InstanceStoreError> {
    if timers.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("set_timers.sql"))
        .bind(process)
        .bind(timers.iter().map(|(key, _, _)| key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(timers.iter().map(|(key, _, _)| key.instance_id.as_str()).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, name, _)| *name).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, _, timer)| timer.after_s).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, _, timer)| timer.version).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, _, timer)| timer.cause.correlation_id).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, _, timer)| timer.cause.causation_id).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, _, timer)| timer.cause.traceparent()).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(postgres_error("setting timers of a process"))
}

/// Removes these timers of a process; all timers of an instance where no name is given.
pub(super) async fn cancel_timers(
    transaction: &mut Transaction<'static, Postgres>,
    process: &str,
    timers: &[(&InstanceKey, Option<&str>)],
) -> Result<(), InstanceStoreError> {
    if timers.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("cancel_timers.sql"))
        .bind(process)
        .bind(timers.iter().map(|(key, _)| key.tenant_id.as_str()).collect::<Vec<_>>())
        .bind(timers.iter().map(|(key, _)| key.instance_id.as_str()).collect::<Vec<_>>())
        .bind(timers.iter().map(|(_, name)| *name).collect::<Vec<_>>())
        .execute(&mut **transaction)
        .await
        .map(drop)
        .map_err(postgres_error("cancelling timers of a process"))
}
