//! The trait that each kind of work implements.

use domain::task::{RetryDecision, TaskKind, TaskNote, TaskResult};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::ClaimedTask;

/// Does the work of one kind of task.
pub trait TaskHandler: Send + Sync {
    /// The kind of task.
    fn kind(&self) -> TaskKind;

    /// How many tasks of this kind a program works on at the same time.
    fn concurrency(&self) -> usize;

    /// Does the work. May be called again for the same task, after a crash or a failure: its effects have to be
    /// idempotent. When `cancelled` is cancelled, the task needs no result any more.
    fn run<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>>;
}

/// Why an attempt failed, for the user and for the decision about another attempt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason.as_str())]
pub struct TaskFailure {
    /// The reason, as the user reads it.
    pub reason: TaskNote,
    /// Whether another attempt may succeed.
    pub retry: RetryDecision,
}

impl TaskFailure {
    /// A failure for which no other attempt can succeed.
    pub fn never(reason: &str) -> Self {
        Self { reason: TaskNote::from_any_text(reason), retry: RetryDecision::Never }
    }

    /// A failure after which another attempt may succeed.
    pub fn later(reason: &str) -> Self {
        Self { reason: TaskNote::from_any_text(reason), retry: RetryDecision::Later }
    }
}
