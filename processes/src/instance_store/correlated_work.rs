//! What operators see of one request: the instances that it started, and its commands that are pending.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    InstanceKey, InstanceStore, InstanceStoreError, key_from_row,
    operator::{InstanceRow, row_from_postgres},
    postgres_error,
};

/// A command that a process has decided and that was not executed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCommandRow {
    /// The process.
    pub process: String,
    /// The instance.
    pub key: InstanceKey,
    /// The command's type, e.g. `request_task`.
    pub command: String,
    /// The event that caused it.
    pub causation_id: Uuid,
    /// Number of attempts to execute it.
    pub attempts: i32,
    /// When it is sent next; `None` if an operator has to resume its instance.
    pub due_at: Option<DateTime<Utc>>,
    /// The error of the last attempt; empty if there is none.
    pub last_error: String,
}

impl InstanceStore {
    /// Lists the instances that events with this correlation id started, and those with a pending command of it, the
    /// oldest first, `limit` at most. Leaves out instances that were started before releases recorded their correlation.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when Postgres does not answer.
    pub async fn list_correlated_instances(
        &self,
        correlation_id: Uuid,
        tenant_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<InstanceRow>, InstanceStoreError> {
        let rows = sqlx::query(concat!(include_str!("select_instances.sql"), include_str!("list_correlated.sql")))
            .bind(correlation_id)
            .bind(tenant_id)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing the instances of a request"))?;
        let decoded = rows.iter().map(row_from_postgres).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding instances of processes"))
    }

    /// Lists pending commands with this correlation id, in the order of their decision, `limit` at most. Reads all
    /// pending commands: usually there are few.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when Postgres does not answer.
    pub async fn list_pending_commands(
        &self,
        correlation_id: Uuid,
        tenant_id: Option<&str>,
        limit: u32,
    ) -> Result<Vec<PendingCommandRow>, InstanceStoreError> {
        let rows = sqlx::query(include_str!("list_pending_commands.sql"))
            .bind(correlation_id)
            .bind(tenant_id)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing the pending commands of a request"))?;
        let decoded = rows.iter().map(command_from_row).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding pending commands of processes"))
    }
}

fn command_from_row(row: &PgRow) -> Result<PendingCommandRow, sqlx::Error> {
    Ok(PendingCommandRow {
        process: row.try_get("process")?,
        key: key_from_row(row)?,
        command: row.try_get("command")?,
        causation_id: row.try_get("causation_id")?,
        attempts: row.try_get("attempts")?,
        due_at: row.try_get("due_at")?,
        last_error: row.try_get("last_error")?,
    })
}
