//! The queue of tasks in Postgres, beside the log.

mod claim_wakeups;
mod queue_row;
mod task_backlog;
mod unreadable_task;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::{
    error_chain::format_error_chain,
    task::{TaskKind, TaskSpec, WorkerName},
    value::TenantId,
};
use sqlx::{
    PgPool, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use telemetry::StoredTraceContext;
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use self::{queue_row::TaskQueueRow, task_backlog::TaskBacklog, unreadable_task::UnreadableTaskRow};
use crate::{ClaimedTask, queue_projection::QueueChange};

/// How long ended tasks stay in the queue. Events that are delivered again within this time change nothing.
const ENDED_RETENTION: Duration = Duration::from_hours(7 * 24);

/// Ended tasks that one statement removes: Postgres ends a statement that takes too long.
const CLEAN_UP_ROWS: i64 = 10_000;

/// How often tasks that ended long ago are removed.
const CLEAN_UP_INTERVAL: Duration = Duration::from_hours(1);

/// Claims of this process that ask Postgres at the same time: waiting workers must not use up its connections.
const MAX_CONCURRENT_CLAIMS: usize = 4;

/// Maximum number of unreadable rows that one claim sets aside. The next claim continues behind them.
const MAX_UNREADABLE_PER_CLAIM: u32 = 100;

/// Takes the lock of claims of generations, until the end of the transaction. The server process that holds it may hang.
const LOCK_CLAIMS: &str = "select set_config('lock_timeout', '5s', true),
    pg_advisory_xact_lock(hashtext('medhub'), hashtext('generation_claims'))";

/// Access to the queue. Clones share its limits, and the signals that wake the claims of this program.
#[derive(Debug, Clone)]
pub struct TaskQueue {
    pool: PgPool,
    tasks_added: Arc<Notify>,
    /// Wakes the claims of the worker pool only: tenants' claims look for themselves.
    tasks_found: Arc<Notify>,
    claim_slots: Arc<Semaphore>,
    /// Cancelled when this program stops: claims wait no longer.
    stopping: CancellationToken,
}

/// The statement that claims the longest-waiting task that meets a condition.
macro_rules! claim_statement {
    ($condition:literal) => {
        concat!(
            include_str!("task_queue/claim_candidates.sql"),
            include_str!($condition),
            include_str!("task_queue/claim_oldest.sql")
        )
    };
}

/// The tasks to claim, and the claiming worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// Only tasks of this tenant; `None` means all tenants.
    pub tenant_id: Option<TenantId>,
    /// Only tasks of these kinds.
    pub kinds: Vec<TaskKind>,
    /// The name of the worker.
    pub worker: WorkerName,
    /// How long the claim holds unless it is renewed.
    pub lease: Duration,
}

/// The state of a claim when it is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClaimState {
    /// The claim holds.
    Held,
    /// Another worker has the task, or it has ended.
    Lost,
}

/// Why the queue cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TaskQueueError {
    /// A statement failed, or a row cannot be decoded.
    #[error("{doing}: the task queue in Postgres cannot be used")]
    Postgres {
        /// The operation, as a gerund.
        doing: &'static str,
        /// The error of Postgres, or of decoding.
        #[source]
        source: sqlx::Error,
    },
    /// The work of a task cannot be encoded.
    #[error("encoding the work of a task")]
    Encode(#[source] serde_json::Error),
}

impl TaskQueue {
    /// Uses the table behind this pool, which `medhub migrate` creates.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            tasks_added: Arc::default(),
            tasks_found: Arc::default(),
            claim_slots: Arc::new(Semaphore::new(MAX_CONCURRENT_CLAIMS)),
            stopping: CancellationToken::new(),
        }
    }

    /// Removes tasks that ended long ago, periodically, until `stop`; then also ends all waiting for tasks.
    pub async fn run(self, stop: CancellationToken) {
        let _ended = self.stopping.clone().drop_guard();
        let mut ticks = interval(CLEAN_UP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {
                    if let Err(error) = self.remove_ended().await {
                        tracing::debug!(reason = format_error_chain(&error), "ended tasks not removed");
                    }
                }
            }
        }
    }

    /// Whether this program stops, so that no more tasks are to be claimed.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    /// Claims the task that has waited the longest; `None` if there is none.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer.
    pub async fn claim_task(&self, request: &ClaimRequest) -> Result<Option<ClaimedTask>, TaskQueueError> {
        // Never closed.
        let _slot = self.claim_slots.acquire().await;
        let kinds: BTreeSet<_> = request.kinds.iter().map(|kind| kind.name()).collect();
        let statement = match request.tenant_id {
            Some(_) => claim_statement!("task_queue/claim_tenant.sql"),
            None => claim_statement!("task_queue/claim_all.sql"),
        };
        let kinds: Vec<_> = kinds.into_iter().collect();
        // Otherwise two claims at the same instant, which do not see each other, could take two generations of a tenant.
        let needs_claim_lock = request.tenant_id.is_none() && request.kinds.contains(&TaskKind::GenerateProposal);
        for _ in 0..MAX_UNREADABLE_PER_CLAIM {
            let query =
                sqlx::query(statement).bind(&kinds).bind(request.worker.as_str()).bind(request.lease.as_secs_f64());
            let query = match &request.tenant_id {
                Some(tenant) => query.bind(tenant.as_str()),
                None => query,
            };
            let row = if needs_claim_lock {
                self.fetch_under_claim_lock(query).await
            } else {
                query.fetch_optional(&self.pool).await
            };
            let Some(row) = row.map_err(postgres_error("claiming a task"))? else { return Ok(None) };
            match claimed_from_row(&row) {
                Ok(task) => return Ok(Some(task)),
                Err(error) => self.park_unreadable(&row, request, &error).await?,
            }
        }
        Ok(None)
    }

    /// Runs the statement of a claim after the claims of other programs have ended, so that it sees what they claimed.
    async fn fetch_under_claim_lock(
        &self,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Option<PgRow>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(LOCK_CLAIMS).execute(&mut *transaction).await?;
        let row = query.fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(row)
    }

    /// Claims a task, and waits for one until `deadline`, until `cancelled`, or until this program stops.
    ///
    /// # Errors
    /// As [`Self::claim_task`].
    pub async fn claim_before(
        &self,
        request: &ClaimRequest,
        deadline: Instant,
        cancelled: &CancellationToken,
    ) -> Result<Option<ClaimedTask>, TaskQueueError> {
        loop {
            let added = self.tasks_added.notified();
            tokio::pin!(added);
            // From here on a signal is not missed.
            added.as_mut().enable();
            if let Some(task) = self.claim_task(request).await? {
                return Ok(Some(task));
            }
            let poll_at = Instant::now() + POLL_INTERVAL;
            if deadline <= Instant::now() {
                return Ok(None);
            }
            tokio::select! {
                () = self.stopping.cancelled() => return Ok(None),
                () = cancelled.cancelled() => return Ok(None),
                () = added => {}
                () = sleep_until(poll_at.min(deadline)) => {
                    // No claim is made at the deadline itself: its answer could come too late.
                    if Instant::now() >= deadline {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Renews a worker's claim.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer.
    pub async fn renew_claim(
        &self,
        tenant_id: &TenantId,
        task_id: &str,
        worker: &WorkerName,
        lease: Duration,
    ) -> Result<ClaimState, TaskQueueError> {
        let renewed = sqlx::query(include_str!("task_queue/renew.sql"))
            .bind(tenant_id.as_str())
            .bind(task_id)
            .bind(worker.as_str())
            .bind(lease.as_secs_f64())
            .execute(&self.pool)
            .await
            .map_err(postgres_error("renewing the claim of a task"))?;
        Ok(if renewed.rows_affected() > 0 { ClaimState::Held } else { ClaimState::Lost })
    }

    /// Gives a claim back, so that another worker need not wait for its end.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer.
    pub async fn release_claim(
        &self,
        tenant_id: &TenantId,
        task_id: &str,
        worker: &WorkerName,
    ) -> Result<(), TaskQueueError> {
        sqlx::query(
            "update task_queue set claimable_at = now()
             where tenant_id = $1 and task_id = $2 and worker = $3 and status <> 'ended' and claimable_at > now()",
        )
        .bind(tenant_id.as_str())
        .bind(task_id)
        .bind(worker.as_str())
        .execute(&self.pool)
        .await
        .map(drop)
        .map_err(postgres_error("releasing the claim of a task"))
    }

    /// Checks that Postgres answers.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when it does not.
    pub async fn ping(&self) -> Result<(), TaskQueueError> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop).map_err(postgres_error("reaching the task queue"))
    }

    /// Counts the tasks that have not ended, by kind and state, without the tasks that tenants request for their own
    /// workers.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer.
    pub async fn load_backlog(&self) -> Result<Vec<TaskBacklog>, TaskQueueError> {
        let rows: Vec<(String, i64, i64, i64, f64)> = sqlx::query_as(include_str!("task_queue/backlog.sql"))
            .fetch_all(&self.pool)
            .await
            .map_err(postgres_error("counting the tasks of the queue"))?;
        let to_backlog =
            |(kind, waiting, claimed, delayed, oldest_s)| TaskBacklog { kind, waiting, claimed, delayed, oldest_s };
        Ok(rows.into_iter().map(to_backlog).collect())
    }

    /// Removes tasks that ended long ago, in portions; returns how many.
    ///
    /// # Errors
    /// [`TaskQueueError::Postgres`] when Postgres does not answer. What was removed before stays removed.
    pub async fn remove_ended(&self) -> Result<u64, TaskQueueError> {
        let mut removed = 0;
        loop {
            let portion = sqlx::query(include_str!("task_queue/remove_ended.sql"))
                .bind(ENDED_RETENTION.as_secs_f64())
                .bind(CLEAN_UP_ROWS)
                .execute(&self.pool)
                .await
                .map_err(postgres_error("removing ended tasks"))?;
            if portion.rows_affected() == 0 {
                return Ok(removed);
            }
            removed += portion.rows_affected();
        }
    }

    /// Applies events of tasks, in order. Idempotent.
    pub(crate) async fn apply_changes(&self, changes: &[QueueChange]) -> Result<(), TaskQueueError> {
        let doing = || postgres_error("following the events of tasks");
        let mut transaction = self.pool.begin().await.map_err(doing())?;
        for change in changes {
            change.query()?.execute(&mut *transaction).await.map_err(doing())?;
        }
        transaction.commit().await.map_err(doing())?;
        if changes.iter().any(QueueChange::adds_task) {
            self.tasks_added.notify_waiters();
        }
        Ok(())
    }

    /// The sequence of the last event that a task's row follows; `None` if the task is not in the queue.
    pub(crate) async fn followed_sequence(&self, tenant: &str, task: &str) -> Result<Option<u64>, TaskQueueError> {
        let found: Option<i64> =
            sqlx::query_scalar("select sequence from task_queue where tenant_id = $1 and task_id = $2")
                .bind(tenant)
                .bind(task)
                .fetch_optional(&self.pool)
                .await
                .map_err(postgres_error("reading a task of the queue"))?;
        Ok(found.and_then(|sequence| u64::try_from(sequence).ok()))
    }
}

/// How often a claim that waits looks for tasks that other programs have added, and for leases that have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

fn claimed_from_row(row: &PgRow) -> Result<ClaimedTask, sqlx::Error> {
    let decode = |error: domain::value::InvalidValue| sqlx::Error::Decode(error.into());
    let tenant: &str = row.try_get("tenant_id")?;
    // Decoded from text: Postgres stores JSON that is nested too deeply for this program, and numbers beyond its range.
    let spec: TaskSpec =
        serde_json::from_str(row.try_get("job")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let failures: i32 = row.try_get("failures")?;
    let previous: Option<&str> = row.try_get("previous_worker")?;
    Ok(ClaimedTask {
        tenant_id: TenantId::try_new(tenant).map_err(decode)?,
        task_id: row.try_get("task_id")?,
        spec,
        failures: u32::try_from(failures).unwrap_or(0),
        version: u64::try_from(row.try_get::<i64, _>("sequence")?).unwrap_or(0),
        previous_worker: previous.map(WorkerName::try_new).transpose().map_err(decode)?,
        correlation_id: row.try_get("correlation_id")?,
        request_event_id: row.try_get("requested_by")?,
        trace: StoredTraceContext::parse(row.try_get("traceparent")?),
    })
}

fn postgres_error(doing: &'static str) -> impl FnOnce(sqlx::Error) -> TaskQueueError {
    move |source| TaskQueueError::Postgres { doing, source }
}

/// A task as it is put into the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestedTask {
    pub(crate) spec: TaskSpec,
    pub(crate) requested_at: DateTime<Utc>,
    pub(crate) correlation_id: Uuid,
    pub(crate) request_event_id: Uuid,
    /// Empty without a sampled trace.
    pub(crate) traceparent: String,
}
