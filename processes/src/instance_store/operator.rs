//! What operators see and do: list, cancel, resume.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    DecisionBatch, InputCause, InstanceKey, InstanceStatus, InstanceStore, InstanceStoreError, LockWait,
    execute_for_instance, key_from_row, lock_instances, postgres_error, status_from_row,
};
use crate::{AnyProcess, all_processes};

/// Namespace of ids derived from cancellations, which are the causes of their commands.
const CANCELLATION_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f70_726f_6365_7373_5f63);

/// Which instances to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceQuery {
    /// Of this process only.
    pub process: Option<String>,
    /// Of this tenant only.
    pub tenant_id: Option<String>,
    /// With one of these statuses; none means those that are open.
    pub statuses: Vec<InstanceStatus>,
    /// How many at most; those that wait the longest come first.
    pub limit: u32,
}

impl InstanceQuery {
    /// Whether it leaves out no process, tenant or open instance.
    pub fn is_for_all(&self) -> bool {
        self.process.is_none() && self.tenant_id.is_none() && self.statuses.is_empty()
    }
}

/// What is pending in all processes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ProcessBacklog {
    pub(crate) pending_commands: f64,
    /// How long the oldest command that is due has waited, in seconds.
    pub(crate) oldest_command_s: f64,
    pub(crate) stalled_instances: f64,
}

/// An instance as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    /// The process.
    pub process: String,
    /// The instance.
    pub key: InstanceKey,
    /// Its status.
    pub status: InstanceStatus,
    /// What it waits for; empty if it is not waiting.
    pub waits_for: String,
    /// Since when.
    pub waits_since: DateTime<Utc>,
    /// When its first event was handled.
    pub started_at: DateTime<Utc>,
    /// When its next timer is due.
    pub next_timer_at: Option<DateTime<Utc>>,
    /// Number of commands that are not executed yet.
    pub pending_commands: i64,
    /// The last error of its first pending command; empty if there is none.
    pub last_error: String,
    /// Why an operator cancelled it; empty if none did.
    pub note: String,
    /// Why this release cannot read its state, so that it handles neither its events nor its timers. Empty if it can, and
    /// for instances that have ended.
    pub unreadable_because: String,
}

impl InstanceStore {
    /// Measures what is pending in all processes.
    pub(crate) async fn load_backlog(&self) -> Result<ProcessBacklog, InstanceStoreError> {
        let row = sqlx::query(include_str!("backlog.sql"))
            .fetch_one(&self.pool)
            .await
            .map_err(postgres_error("measuring what is pending in processes"))?;
        let figure = |name| row.try_get(name).map_err(postgres_error("decoding what is pending in processes"));
        Ok(ProcessBacklog {
            pending_commands: figure("pending_commands")?,
            oldest_command_s: figure("oldest_command_s")?,
            stalled_instances: figure("stalled_instances")?,
        })
    }

    /// Lists instances.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when Postgres does not answer.
    pub async fn list_instances(&self, query: &InstanceQuery) -> Result<Vec<InstanceRow>, InstanceStoreError> {
        let open: Vec<_> = InstanceStatus::ALL.into_iter().filter(|status| status.is_open()).collect();
        let statuses = if query.statuses.is_empty() { &open } else { &query.statuses };
        let rows = sqlx::query(concat!(include_str!("select_instances.sql"), include_str!("list.sql")))
            .bind(&query.process)
            .bind(&query.tenant_id)
            .bind(statuses.iter().map(|status| status.name()).collect::<Vec<_>>())
            .bind(i64::from(query.limit))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("listing instances of processes"))?;
        let decoded = rows.iter().map(row_from_postgres).collect::<Result<_, _>>();
        decoded.map_err(postgres_error("decoding instances of processes"))
    }

    /// Cancels an open instance: its pending commands and timers are dropped, and the process sends the commands that
    /// undo what it has begun. Of a stalled one that is finished, the commands are dropped.
    ///
    /// # Errors
    /// [`InstanceStoreError::NoInstance`], [`InstanceStoreError::NotOpen`]; others when Postgres does not answer.
    pub async fn cancel_instance(
        &self,
        process: &dyn AnyProcess,
        key: &InstanceKey,
        reason: &str,
    ) -> Result<(), InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let instances = lock_instances(&mut transaction, process.name(), std::iter::once(key), LockWait::Wait).await?;
        let mut batch = DecisionBatch::new(process.name(), instances);
        let instance = batch.instance(key).ok_or_else(|| key.missing(process.name()))?;
        if !instance.status.is_open() && !instance.stalled {
            return Err(key.not_open_error(process.name(), instance.status.name()));
        }
        let correlation_id = instance.correlation_id;
        let decision = if instance.status.is_open() {
            let decision = process.react_to_cancellation(&instance.state, reason);
            Some(decision.map_err(|source| key.unreadable_state(process.name(), source))?)
        } else {
            None
        };
        let name = format!("{} {} {} {}", process.name(), key.tenant_id, key.instance_id, instance.version);
        let id = Uuid::new_v5(&CANCELLATION_NAMESPACE, name.as_bytes());
        for statement in [
            // A command that a runner may be sending stays: what undoes it is sent after it.
            "delete from process_commands
             where process = $1 and tenant_id = $2 and instance_id = $3 and (attempts = 0 or due_at = 'infinity')",
            "update process_instances set stalled = false where process = $1 and tenant_id = $2 and instance_id = $3",
        ] {
            execute_for_instance(&mut transaction, statement, process.name(), key).await?;
        }
        if let Some(decision) = decision {
            let correlation_id = correlation_id.unwrap_or(id);
            batch.add_decision(key, decision, InputCause { id, causation_id: id, correlation_id, trace: None })?;
            batch.mark_cancelled(key, reason);
        }
        batch.write(&mut transaction).await?;
        self.commit(transaction).await
    }

    /// Sends the pending commands of an instance now, also those that were given up.
    ///
    /// # Errors
    /// [`InstanceStoreError::NoInstance`], [`InstanceStoreError::NotOpen`]; others when Postgres does not answer.
    pub async fn resume_instance(&self, process: &str, key: &InstanceKey) -> Result<(), InstanceStoreError> {
        let mut transaction = self.begin().await?;
        let instances = lock_instances(&mut transaction, process, std::iter::once(key), LockWait::Wait).await?;
        let instance = instances.get(key).ok_or_else(|| key.missing(process))?;
        // Of an instance that is not open only commands that were given up: others are sent anyway, or have just been
        // executed and wait for their removal.
        let resume = if instance.status.is_open() {
            "update process_commands set due_at = now(), attempts = 0, unreadable_since = null
             where process = $1 and tenant_id = $2 and instance_id = $3"
        } else {
            "update process_commands set due_at = now(), attempts = 0, unreadable_since = null
             where process = $1 and tenant_id = $2 and instance_id = $3 and due_at = 'infinity'"
        };
        let resumed = execute_for_instance(&mut transaction, resume, process, key).await?;
        if resumed == 0 && !instance.status.is_open() {
            return Err(key.not_open_error(process, instance.status.name()));
        }
        let clear = "update process_instances set stalled = false, waits_since = now()
                     where process = $1 and tenant_id = $2 and instance_id = $3 and stalled";
        execute_for_instance(&mut transaction, clear, process, key).await?;
        self.commit(transaction).await
    }
}

impl InstanceKey {
    fn missing(&self, process: &str) -> InstanceStoreError {
        InstanceStoreError::NoInstance {
            process: process.to_owned(),
            tenant_id: self.tenant_id.clone(),
            instance_id: self.instance_id.clone(),
        }
    }

    fn not_open_error(&self, process: &str, status: &'static str) -> InstanceStoreError {
        InstanceStoreError::NotOpen { process: process.to_owned(), instance_id: self.instance_id.clone(), status }
    }

    pub(super) fn unreadable_state(&self, process: &str, source: serde_json::Error) -> InstanceStoreError {
        InstanceStoreError::UnreadableState {
            process: process.to_owned(),
            tenant_id: self.tenant_id.clone(),
            instance_id: self.instance_id.clone(),
            source,
        }
    }
}

fn displayed_status(row: &PgRow) -> Result<InstanceStatus, sqlx::Error> {
    let status = status_from_row(row)?;
    Ok(if row.try_get("stalled")? { InstanceStatus::Stalled } else { status })
}

pub(super) fn row_from_postgres(row: &PgRow) -> Result<InstanceRow, sqlx::Error> {
    Ok(InstanceRow {
        process: row.try_get("process")?,
        key: key_from_row(row)?,
        status: displayed_status(row)?,
        waits_for: row.try_get("waits_for")?,
        waits_since: row.try_get("waits_since")?,
        started_at: row.try_get("started_at")?,
        next_timer_at: row.try_get("next_timer_at")?,
        pending_commands: row.try_get("pending_commands")?,
        last_error: row.try_get("last_error")?,
        note: row.try_get("note")?,
        unreadable_because: unreadable_because(row)?.unwrap_or_default(),
    })
}

/// Why this release cannot read the state of an open instance; `None` if it can.
fn unreadable_because(row: &PgRow) -> Result<Option<String>, sqlx::Error> {
    if !status_from_row(row)?.is_open() {
        return Ok(None);
    }
    let (name, state): (&str, &str) = (row.try_get("process")?, row.try_get("state")?);
    let Some(process) = all_processes().into_iter().find(|process| process.name() == name) else {
        return Ok(Some("this release has no such process".to_owned()));
    };
    let checked = serde_json::from_str(state).and_then(|state| process.check_state(&state));
    Ok(checked.err().map(|error| error.to_string()))
}
