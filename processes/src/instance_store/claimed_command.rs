//! Commands that are pending: claims them for a runner, and records how sending them ended.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};
use telemetry::StoredTraceContext;
use uuid::Uuid;

use super::{
    DecisionBatch, InputCause, InstanceKey, InstanceStore, InstanceStoreError, LockWait, execute_for_instance,
    key_from_row, lock_instances, postgres_error,
};
use crate::{AnyProcess, ProcessCommand};

/// Namespace of ids derived from refused commands, which are the causes of further commands.
const REFUSAL_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f70_726f_6365_7373_5f72);

/// The setting ends with the statement, which is a transaction by itself.
const REMOVE_COMMANDS: &str = "delete from process_commands where id = any($1)
    and (select set_config('synchronous_commit', 'off', true)) is not null";

/// Maximum number of commands of each tenant that one claim takes.
const MIN_SHARE: i64 = 16;

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
    /// The span of what caused it, if its trace is sampled.
    pub(crate) trace: Option<StoredTraceContext>,
    /// Number of this attempt, from 1.
    pub(crate) attempts: i32,
    /// How long runners could not read it.
    pub(crate) unreadable_for: Duration,
}

/// The commands of one claim.
pub(crate) struct ClaimedCommands {
    /// The commands that can be sent.
    pub(crate) commands: Vec<ClaimedCommand>,
    /// The commands whose rows cannot be read, with the reason.
    pub(crate) unreadable: Vec<(ClaimedCommand, serde_json::Error)>,
    /// The last tenant that was looked at; `None` if that was the last of all, so that the next claim begins with the first.
    pub(crate) last_tenant: Option<String>,
}

impl InstanceStore {
    /// Claims due commands of these processes, the first of each instance. No other runner gets them for `lease`. Of
    /// `limit` tenants at most, those that follow `after_tenant`, each has the same share of `limit` commands, and at least
    /// [`MIN_SHARE`].
    pub(crate) async fn claim_commands(
        &self,
        processes: &[&str],
        limit: u32,
        lease: Duration,
        after_tenant: &str,
    ) -> Result<ClaimedCommands, InstanceStoreError> {
        let rows = sqlx::query(include_str!("claim_commands.sql"))
            .bind(i64::from(limit))
            .bind(lease.as_secs_f64())
            .bind(processes)
            .bind(after_tenant)
            .bind(MIN_SHARE)
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("claiming commands of processes"))?;
        let decode = || postgres_error("decoding commands of processes");
        let mut claimed = ClaimedCommands { commands: vec![], unreadable: vec![], last_tenant: None };
        for row in &rows {
            let tenants: i64 = row.try_get("tenant_count").map_err(decode())?;
            // With fewer tenants, the claim has reached the last one.
            if tenants >= i64::from(limit) {
                claimed.last_tenant = row.try_get("last_tenant").map_err(decode())?;
            }
            match claimed_from_row(row).map_err(decode())? {
                None => {}
                Some((command, None)) => claimed.commands.push(command),
                Some((command, Some(error))) => claimed.unreadable.push((command, error)),
            }
        }
        Ok(claimed)
    }

    /// Removes commands that were executed. Does not wait until that is durable: one that is back after a crash of Postgres is
    /// sent again under its key, and has no second effect.
    pub(crate) async fn remove_commands(&self, ids: &[i64]) -> Result<(), InstanceStoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        sqlx::query(REMOVE_COMMANDS)
            .bind(ids)
            .execute(&self.pool)
            .await
            .map(drop)
            .map_err(postgres_error("removing executed commands of a process"))
    }

    /// Sends a command whose attempt failed again after a pause, unless its claim has ended meanwhile.
    pub(crate) async fn retry_command(
        &self,
        command: &ClaimedCommand,
        pause: Duration,
        error: &str,
    ) -> Result<(), InstanceStoreError> {
        sqlx::query(
            "update process_commands
             set due_at = now() + make_interval(secs => $3), last_error = $4
             where id = $1 and attempts = $2",
        )
        .bind(command.id)
        .bind(command.attempts)
        .bind(pause.as_secs_f64())
        .bind(error)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(postgres_error("postponing a command of a process"))
    }

    /// Gives claims back that were not used. The attempts do not count. `reason` is what operators read meanwhile; if it
    /// is empty, the last error stays.
    pub(crate) async fn release_commands(
        &self,
        commands: &[ClaimedCommand],
        pause: Duration,
        reason: &str,
    ) -> Result<(), InstanceStoreError> {
        if commands.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "update process_commands c
             set due_at = now() + make_interval(secs => $3), attempts = c.attempts - 1,
                 last_error = case when $4 = '' then c.last_error else $4 end
             from unnest($1::bigint[], $2::integer[]) as claimed (id, attempts)
             where c.id = claimed.id and c.attempts = claimed.attempts",
        )
        .bind(commands.iter().map(|command| command.id).collect::<Vec<_>>())
        .bind(commands.iter().map(|command| command.attempts).collect::<Vec<_>>())
        .bind(pause.as_secs_f64())
        .bind(reason)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(postgres_error("releasing commands of processes"))
    }

    /// Gives a claim of a command back that this release does not know. The attempt does not count: it is one for a runner
    /// of another release.
    pub(crate) async fn postpone_unknown_command(
        &self,
        command: &ClaimedCommand,
        pause: Duration,
        reason: &str,
    ) -> Result<(), InstanceStoreError> {
        sqlx::query(
            "update process_commands
             set due_at = now() + make_interval(secs => $3), attempts = attempts - 1, last_error = $4,
                 unreadable_since = coalesce(unreadable_since, now())
             where id = $1 and attempts = $2",
        )
        .bind(command.id)
        .bind(command.attempts)
        .bind(pause.as_secs_f64())
        .bind(reason)
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(postgres_error("postponing a command of another release"))
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
        // The commands behind it wait with it.
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
            let cause = InputCause { id, causation_id, correlation_id, trace: claimed.trace };
            batch.add_decision(&claimed.key, decision, cause)?;
        }
        batch.write(&mut transaction).await?;
        self.commit(transaction).await
    }
}

/// The command of a row, and why its content cannot be read, if so. `None` for a row without a command.
fn claimed_from_row(row: &PgRow) -> Result<Option<(ClaimedCommand, Option<serde_json::Error>)>, sqlx::Error> {
    let Some(id) = row.try_get("id")? else { return Ok(None) };
    // As text: Postgres stores JSON that is nested too deeply for this program, and numbers beyond its range.
    let (command, error) = match serde_json::from_str(row.try_get("command")?) {
        Ok(command) => (command, None),
        Err(error) => (serde_json::Value::Null, Some(error)),
    };
    let claimed = ClaimedCommand {
        id,
        process: row.try_get("process")?,
        key: key_from_row(row)?,
        idempotency_key: row.try_get("idempotency_key")?,
        command,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        trace: StoredTraceContext::parse(row.try_get("traceparent")?),
        attempts: row.try_get("attempts")?,
        unreadable_for: Duration::try_from_secs_f64(row.try_get("unreadable_s")?).unwrap_or_default(),
    };
    Ok(Some((claimed, error)))
}
