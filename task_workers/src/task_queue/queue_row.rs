//! Rows of the queue, as operators see them.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};

use super::{TaskQueue, TaskQueueError, postgres_error};

/// A task of the queue. Its outcome is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskQueueRow {
    /// The tenant that owns the task.
    pub tenant_id: String,
    /// The task's id within its tenant.
    pub task_id: String,
    /// The kind of work.
    pub kind: String,
    /// `requested`, `started` or `ended`.
    pub status: String,
    /// Number of failed attempts.
    pub failures: i32,
    /// Who has claimed the task, or has started it without a claim.
    pub worker: Option<String>,
    /// When it may be claimed next, which is the end of the lease while a worker has it; `None` for a task that was
    /// started without a claim.
    pub claimable_at: Option<DateTime<Utc>>,
    /// When the row followed its last event.
    pub changed_at: DateTime<Utc>,
}

impl TaskQueue {
    /// Loads the rows of tasks, given as tenant and task id. A task that ended long ago has none.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer.
    pub async fn load_rows(&self, tasks: &[(String, String)]) -> Result<Vec<TaskQueueRow>, TaskQueueError> {
        if tasks.is_empty() {
            return Ok(vec![]);
        }
        let (tenants, ids): (Vec<&str>, Vec<&str>) =
            tasks.iter().map(|(tenant, id)| (tenant.as_str(), id.as_str())).unzip();
        let rows = sqlx::query(include_str!("list_rows.sql"))
            .bind(tenants)
            .bind(ids)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("reading tasks of the queue"))?;
        let decoded = rows.iter().map(row_from_postgres).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding tasks of the queue"))
    }
}

fn row_from_postgres(row: &PgRow) -> Result<TaskQueueRow, sqlx::Error> {
    Ok(TaskQueueRow {
        tenant_id: row.try_get("tenant_id")?,
        task_id: row.try_get("task_id")?,
        kind: row.try_get("kind")?,
        status: row.try_get("status")?,
        failures: row.try_get("failures")?,
        worker: row.try_get("worker")?,
        claimable_at: row.try_get("claimable_at")?,
        changed_at: row.try_get("changed_at")?,
    })
}
