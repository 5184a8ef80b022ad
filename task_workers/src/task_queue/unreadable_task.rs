//! Tasks whose rows no worker of this release can read.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::error_chain::format_error_chain;
use sqlx::{Row, postgres::PgRow};

use super::{ClaimRequest, TaskQueue, TaskQueueError, postgres_error};

/// When a row that cannot be read is offered again at first: while two releases run, a worker of the other one can probably
/// read it. The pause doubles each time.
const FIRST_PAUSE: Duration = Duration::from_mins(1);

/// Longest pause.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// Longest reason that is stored, in characters.
const MAX_REASON: usize = 500;

/// A task of the queue whose row could not be read by the worker that claimed it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableTaskRow {
    /// The tenant that owns the task.
    pub tenant_id: String,
    /// The task's id within its tenant.
    pub task_id: String,
    /// The kind of work.
    pub kind: String,
    /// Why the row cannot be read.
    pub reason: String,
    /// When it is offered again.
    pub claimable_at: DateTime<Utc>,
}

impl TaskQueue {
    /// Lists tasks whose rows could not be read, the oldest first, `limit` at most.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer.
    pub async fn list_unreadable(&self, limit: u32) -> Result<Vec<UnreadableTaskRow>, TaskQueueError> {
        let rows = sqlx::query(include_str!("list_unreadable.sql"))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing tasks that cannot be read"))?;
        let decoded = rows.iter().map(unreadable_from_row).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding tasks that cannot be read"))
    }

    /// Sets a task aside that was claimed and cannot be read, with the reason.
    pub(super) async fn park_unreadable(
        &self,
        row: &PgRow,
        request: &ClaimRequest,
        error: &sqlx::Error,
    ) -> Result<(), TaskQueueError> {
        let doing = || postgres_error("setting aside a task that cannot be read");
        let tenant_id: &str = row.try_get("tenant_id").map_err(doing())?;
        let task_id: &str = row.try_get("task_id").map_err(doing())?;
        let reason: String = format_error_chain(error).chars().take(MAX_REASON).collect();
        tracing::error!(tenant = tenant_id, task = task_id, reason, "task set aside: its row cannot be read");
        sqlx::query(include_str!("park.sql"))
            .bind(tenant_id)
            .bind(task_id)
            .bind(request.worker.as_str())
            .bind(reason)
            .bind(FIRST_PAUSE.as_secs_f64())
            .bind(MAX_PAUSE.as_secs_f64())
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(doing())
    }
}

fn unreadable_from_row(row: &PgRow) -> Result<UnreadableTaskRow, sqlx::Error> {
    Ok(UnreadableTaskRow {
        tenant_id: row.try_get("tenant_id")?,
        task_id: row.try_get("task_id")?,
        kind: row.try_get("kind")?,
        reason: row.try_get("unreadable_because")?,
        claimable_at: row.try_get("claimable_at")?,
    })
}
