//! Commands that are pending: claims them for a runner, and records how sending them ended.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    DecisionBatch, InputCause, InstanceKey, InstanceStore, InstanceStoreError, LockWait, execute_for_instance,
    key_from_row, lock_instances, postgres_error,
};
use crate::{AnyProcess, ProcessCommand};

/// Namespace of ids derived from refused commands, which are the causes of further commands.
const REFUSAL_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f70_726f_6365_7373_5f72);

/// A pending command that a runner sends.
pub(crate) struct ClaimedCommand {
    pub(crate) id: i64,
    pub(crate) process: String,
    pub(crate) key: InstanceKey,
    pub(crate) idempotency_key: String,
    /// The command as stored.
    pub(crate) command: serde_json::Value,
    pub(crate) correlation_id: Uuid,
    pub(crate) causation_id: Uuid,
    /// Number of this attempt, from 1.
    pub(crate) attempts: i32,
}

/// How a command is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandRetry {
    /// The attempt failed and counts.
    AfterFailure(Duration),
    /// Others changed the aggregate: the attempt does not count.
    AfterConflict(Duration),
}

impl InstanceStore {
    /// Claims due commands of these processes, the first of each instance, `limit` at most. No other runner gets them
    /// for `lease`.
    pub(crate) async fn claim_commands(
        &self,
        processes: &[&str],
        limit: u32,
        lease: Duration,
    ) -> Result<Vec<ClaimedCommand>, InstanceStoreError> {
        let rows = sqlx::query(include_str!("claim_commands.sql"))
            .bind(i64::from(limit))
            .bind(lease.as_secs_f64())
            .bind(processes)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("claiming commands of processes"))?;
        let decoded = rows.iter().map(claimed_from_row).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding commands of processes"))
    }

    /// Removes a command that was executed.
    pub(crate) async fn remove_command(&self, command: &ClaimedCommand) -> Result<(), InstanceStoreError> {
        sqlx::query("delete from process_commands where id = $1")
            .bind(command.id)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(postgres_error("removing an executed command of a process"))
    }

    /// Sends a command again after a pause, unless its claim has ended meanwhile.
    pub(crate) async fn retry_command(
        &self,
        command: &ClaimedCommand,
        retry: CommandRetry,
        error: &str,
    ) -> Result<(), InstanceStoreError> {
        let (pause, uncounted) = match retry {
            CommandRetry::AfterFailure(pause) => (pause, 0),
            CommandRetry::AfterConflict(pause) => (pause, 1),
        };
        sqlx::query(
            "update process_commands
             set due_at = now() + make_interval(secs => $3), last_error = $4, attempts = attempts - $5
             where id = $1 and attempts = $2",
        )
        .bind(command.id)
        .bind(command.attempts)
        .bind(pause.as_secs_f64())
        .bind(error)
        .bind(uncounted)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(postgres_error("postponing a command of a process"))
    }

    /// Stops sending a command that keeps failing: an operator has to resume or cancel its instance.
    pub(crate) async fn stall_command(&self, command: &ClaimedCommand, error: &str) -> Result<(), InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let key = std::iter::once(&command.key);
        lock_instances(&mut transaction, &command.process, key, LockWait::Wait).await?;
        let stopped = sqlx::query("update process_commands set last_error = $3 where id = $1 and attempts = $2")
            .bind(command.id)
            .bind(command.attempts)
            .bind(error)
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("stopping a command of a process"))?;
        if stopped.rows_affected() == 0 {
            // The claim has ended, and another runner has sent the command.
            return Ok(());
        }
        // Those behind it wait with it.
        for statement in [
            "update process_commands set due_at = 'infinity'
             where process = $1 and tenant_id = $2 and instance_id = $3",
            "update process_instances set stalled = true, waits_since = now()
             where process = $1 and tenant_id = $2 and instance_id = $3",
        ] {
            execute_for_instance(&mut transaction, statement, &command.process, &command.key).await?;
        }
        self.commit(transaction).await
    }

    /// Lets the instance react to the refusal of its command, and removes the command.
    pub(crate) async fn handle_refusal(
        &self,
        process: &dyn AnyProcess,
        claimed: &ClaimedCommand,
        command: &ProcessCommand,
        reason: &str,
    ) -> Result<(), InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let key = std::iter::once(&claimed.key);
        let instances = lock_instances(&mut transaction, process.name(), key, LockWait::Wait).await?;
        let removed = sqlx::query("delete from process_commands where id = $1")
            .bind(claimed.id)
            .execute(&mut *transaction)
            .await
            .map_err(postgres_error("removing a refused command of a process"))?;
        if removed.rows_affected() == 0 {
            // Another runner handled the refusal.
            return Ok(());
        }
        let mut batch = DecisionBatch::new(process.name(), instances);
        if let Some(instance) = batch.instance(&claimed.key).filter(|instance| instance.status.is_open()) {
            let decision = process
                .react_to_refusal(&instance.state, command, reason)
                .map_err(|source| claimed.key.unreadable_state(process.name(), source))?;
            let id = Uuid::new_v5(&REFUSAL_NAMESPACE, claimed.idempotency_key.as_bytes());
            let (causation_id, correlation_id) = (claimed.causation_id, claimed.correlation_id);
            batch.add_decision(&claimed.key, decision, InputCause { id, causation_id, correlation_id })?;
        }
        batch.write(&mut transaction).await?;
        self.commit(transaction).await
    }
}

fn claimed_from_row(row: &PgRow) -> Result<ClaimedCommand, sqlx::Error> {
    Ok(ClaimedCommand {
        id: row.try_get("id")?,
        process: row.try_get("process")?,
        key: key_from_row(row)?,
        idempotency_key: row.try_get("idempotency_key")?,
        command: row.try_get("command")?,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        attempts: row.try_get("attempts")?,
    })
}
