//! Instances of processes in Postgres, beside the log: their states, pending commands and timers.
//!
//! Whoever changes an instance or its timers holds the lock of its row, and locks rows in the order of their keys.

mod claimed_command;
mod correlated_work;
mod decision_batch;
mod event_handling;
mod input_session;
mod operator;
mod retention;
mod timer;
mod timer_firing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use sqlx::{PgPool, Postgres, Row, Transaction, postgres::PgRow};
use telemetry::StoredTraceContext;
use tokio::sync::Notify;
use uuid::Uuid;

pub(crate) use self::{claimed_command::ClaimedCommand, decision_batch::DecisionBatch};
pub use self::{
    correlated_work::PendingCommandRow,
    input_session::InputSession,
    operator::{InstanceQuery, InstanceRow},
};

/// Access to the instances of all processes. Clones share the signal that wakes the runner of this program.
#[derive(Debug, Clone)]
pub struct InstanceStore {
    pool: PgPool,
    work_added: Arc<Notify>,
}

/// Identifies an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceKey {
    /// The tenant whose data it works on.
    pub tenant_id: String,
    /// Its id within process and tenant.
    pub instance_id: String,
}

/// The status of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceStatus {
    /// Waits for an event, a timeout, or the execution of its commands.
    Waiting,
    /// One of its commands keeps failing: an operator has to resume or cancel it. It may be finished otherwise.
    Stalled,
    /// Finished; further inputs are ignored.
    Finished,
    /// Cancelled by an operator; further inputs are ignored.
    Cancelled,
}

/// Why instances cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum InstanceStoreError {
    /// A statement failed, or a row cannot be decoded.
    #[error("{doing} in Postgres")]
    Postgres {
        /// The operation, as a gerund.
        doing: &'static str,
        /// The error of Postgres, or of decoding.
        #[source]
        source: sqlx::Error,
    },
    /// Another release stored a state that this one cannot read.
    #[error("the state of instance {instance_id} of process {process} (tenant {tenant_id}) is of another release")]
    UnreadableState {
        /// The process.
        process: String,
        /// The tenant.
        tenant_id: String,
        /// The instance.
        instance_id: String,
        /// The decoder's error.
        #[source]
        source: serde_json::Error,
    },
    /// A command cannot be encoded or decoded.
    #[error("the stored form of a command of process {process}")]
    UnreadableCommand {
        /// The process.
        process: String,
        /// The decoder's error.
        #[source]
        source: serde_json::Error,
    },
    /// The instance does not exist.
    #[error(
        "process {process} has no instance {instance_id} in tenant {tenant_id}; `medhub processes list` shows them"
    )]
    NoInstance {
        /// The process.
        process: String,
        /// The tenant.
        tenant_id: String,
        /// The instance.
        instance_id: String,
    },
    /// The instance is finished or cancelled, or there is nothing to resume.
    #[error("instance {instance_id} of process {process} is {status}")]
    NotOpen {
        /// The process.
        process: String,
        /// The instance.
        instance_id: String,
        /// Its status.
        status: &'static str,
    },
}

/// What an instance reacts to, as the cause of its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputCause {
    /// Id of the event, or an id derived from the timer or the refused command: the same each time it is handled.
    pub(crate) id: Uuid,
    /// The event that the commands' events name as their cause. Of a timeout, the event that the timer was set for; of
    /// a refusal, the cause of the refused command. Of a cancellation, [`Self::id`]: no event caused it.
    pub(crate) causation_id: Uuid,
    /// Shared by everything that one request causes.
    pub(crate) correlation_id: Uuid,
    /// The span of the event, if its trace is sampled; of a timeout, the span of the event that the timer was set for.
    /// A cancellation has none.
    pub(crate) trace: Option<StoredTraceContext>,
}

impl InputCause {
    /// The cause of an input that is derived from an event, as others may be. `input_id` is the same each time it is
    /// derived, and no other input of the process has it.
    pub fn from_event(input_id: Uuid, event_id: Uuid, correlation_id: Uuid, traceparent: &str) -> Self {
        let trace = StoredTraceContext::parse(traceparent);
        Self { id: input_id, causation_id: event_id, correlation_id, trace }
    }

    /// As `traceparent`; empty without a sampled trace.
    pub(crate) fn traceparent(&self) -> String {
        self.trace.map(StoredTraceContext::to_traceparent).unwrap_or_default()
    }
}

impl InstanceStatus {
    /// All of them, in the order of an instance's life.
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Stalled, Self::Finished, Self::Cancelled];

    /// Its name in the table and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Stalled => "stalled",
            Self::Finished => "finished",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Stalled)
    }
}

/// An instance whose row is locked.
#[derive(Debug, Clone)]
pub(crate) struct LockedInstance {
    /// Never [`InstanceStatus::Stalled`].
    status: InstanceStatus,
    stalled: bool,
    state: Value,
    waits_for: String,
    /// The sequence of the last event that was handled, for each stream.
    handled: BTreeMap<String, u64>,
    version: i64,
    note: String,
    /// Of the event that started it; `None` for instances of earlier releases.
    correlation_id: Option<Uuid>,
}

impl InstanceStore {
    /// Uses the tables behind this pool, which `medhub migrate` creates.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, work_added: Arc::default() }
    }

    /// Checks that Postgres answers.
    ///
    /// # Errors
    /// [`InstanceStoreError::Postgres`] when it does not.
    pub async fn ping(&self) -> Result<(), InstanceStoreError> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop).map_err(postgres_error("reaching the processes"))
    }

    /// Waits until commands or timers may have been added in this program, or for `timeout` at most.
    pub(crate) async fn wait_for_work(&self, timeout: Duration) {
        // Both outcomes lead to the same: other programs add work without a signal.
        let _elapsed = tokio::time::timeout(timeout, self.work_added.notified()).await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, InstanceStoreError> {
        self.pool.begin_with(BEGIN).await.map_err(postgres_error("beginning a transaction"))
    }

    async fn commit(&self, transaction: Transaction<'static, Postgres>) -> Result<(), InstanceStoreError> {
        transaction.commit().await.map_err(postgres_error("committing decisions of processes"))?;
        self.work_added.notify_one();
        Ok(())
    }
}

/// What to do with instances that another transaction has locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockWait {
    /// Wait for them.
    Wait,
    /// Leave them out.
    Skip,
}

/// Characters of a state that cannot be read.
const MAX_QUOTED_STATE: usize = 100;

/// Begins a transaction. Its wait for a lock is limited, because the server process that holds the lock may hang.
const BEGIN: &str = "begin; set local lock_timeout = '5s'";

/// Locks the rows of existing instances, in the order of their keys.
async fn lock_instances(
    transaction: &mut Transaction<'static, Postgres>,
    process: &str,
    keys: impl Iterator<Item = &InstanceKey>,
    wait: LockWait,
) -> Result<BTreeMap<InstanceKey, LockedInstance>, InstanceStoreError> {
    let statement = match wait {
        LockWait::Wait => include_str!("instance_store/lock.sql"),
        LockWait::Skip => concat!(include_str!("instance_store/lock.sql"), " skip locked"),
    };
    let (tenants, ids): (Vec<_>, Vec<_>) = keys.map(|key| (key.tenant_id.as_str(), key.instance_id.as_str())).unzip();
    let rows = sqlx::query(statement)
        .bind(process)
        .bind(tenants)
        .bind(ids)
        .fetch_all(&mut **transaction)
        .await
        .map_err(postgres_error("locking instances of a process"))?;
    let decoded = rows.iter().map(locked_from_row).collect::<Result<_, _>>();
    decoded.map_err(postgres_error("decoding instances of a process"))
}

/// Executes a statement about one instance; returns the number of rows that it changed.
async fn execute_for_instance(
    transaction: &mut Transaction<'static, Postgres>,
    statement: &'static str,
    process: &str,
    key: &InstanceKey,
) -> Result<u64, InstanceStoreError> {
    let executed = sqlx::query(statement)
        .bind(process)
        .bind(&key.tenant_id)
        .bind(&key.instance_id)
        .execute(&mut **transaction)
        .await
        .map_err(postgres_error("changing an instance of a process"))?;
    Ok(executed.rows_affected())
}

fn locked_from_row(row: &PgRow) -> Result<(InstanceKey, LockedInstance), sqlx::Error> {
    let handled: sqlx::types::Json<BTreeMap<String, u64>> = row.try_get("handled")?;
    let instance = LockedInstance {
        status: status_from_row(row)?,
        stalled: row.try_get("stalled")?,
        state: state_from_text(row.try_get("state")?),
        waits_for: row.try_get("waits_for")?,
        handled: handled.0,
        version: row.try_get("version")?,
        note: row.try_get("note")?,
        correlation_id: row.try_get("correlation_id")?,
    };
    Ok((key_from_row(row)?, instance))
}

/// Postgres stores JSON that is nested too deeply for this program, and numbers beyond its range. Such a state is a text
/// here, which no process can read: its instance delays no other one.
fn state_from_text(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.chars().take(MAX_QUOTED_STATE).collect()))
}

fn key_from_row(row: &PgRow) -> Result<InstanceKey, sqlx::Error> {
    Ok(InstanceKey { tenant_id: row.try_get("tenant_id")?, instance_id: row.try_get("instance_id")? })
}

fn status_from_row(row: &PgRow) -> Result<InstanceStatus, sqlx::Error> {
    let name: &str = row.try_get("status")?;
    InstanceStatus::from_name(name).ok_or_else(|| sqlx::Error::Decode(format!("unknown status {name}").into()))
}

fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> InstanceStoreError {
    move |source| InstanceStoreError::Postgres { doing, source }
}
