//! A task that a worker has claimed.

use domain::{
    task::{MAX_ATTEMPTS, RetryDecision, TaskCommand, TaskNote, TaskSpec, WorkerName},
    value::{AuditStamp, InvalidValue, TenantId},
};
use telemetry::StoredTraceContext;
use uuid::Uuid;

/// A task that a worker has claimed, until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedTask {
    /// The tenant that owns the task.
    pub tenant_id: TenantId,
    /// The task's id within its tenant.
    pub task_id: String,
    /// The requested work.
    pub spec: TaskSpec,
    /// The number of failed attempts before this one.
    pub failures: u32,
    /// The version of the task that the queue has followed. The log may be ahead.
    pub version: u64,
    /// The worker that had started the task and whose lease has ended. Its attempt has to be recorded as failed, with
    /// [`Self::version`] as the expected version: if the log is ahead, it may be an attempt of another worker.
    pub previous_worker: Option<WorkerName>,
    /// Correlation id of the request.
    pub correlation_id: Uuid,
    /// The event that requested the task.
    pub request_event_id: Uuid,
    /// The span of that event, if its trace is sampled.
    pub trace: Option<StoredTraceContext>,
}

impl ClaimedTask {
    /// Whether the task ends when the attempt of the worker that died is recorded as failed.
    pub fn is_last_attempt(&self) -> bool {
        self.failures + 1 >= MAX_ATTEMPTS
    }

    /// The command that records the attempt of a worker that died as failed.
    ///
    /// # Errors
    /// [`InvalidValue`] never: the reason is a constant.
    pub fn fail_previous_attempt(&self, previous: WorkerName, stamp: AuditStamp) -> Result<TaskCommand, InvalidValue> {
        let reason = TaskNote::try_new("its worker stopped without a result")?;
        Ok(TaskCommand::Fail { worker: previous, reason, retry: RetryDecision::Later, stamp })
    }
}
