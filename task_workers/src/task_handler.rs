//! The trait that each kind of work implements.

use std::sync::Arc;

use domain::task::{RetryDecision, TaskKind, TaskNote, TaskResult};
use futures::{FutureExt as _, future::BoxFuture};
use tokio_util::sync::CancellationToken;

use crate::ClaimedTask;

/// Does the work of one kind of task.
pub trait TaskHandler: Send + Sync + 'static {
    /// The kind of task.
    const KIND: TaskKind;

    /// Does the work. May be called again for the same task, after a crash or a failure: its effects have to be
    /// idempotent. When `cancelled` is cancelled, the task needs no result any more.
    fn run(
        &self,
        task: &ClaimedTask,
        cancelled: CancellationToken,
    ) -> impl Future<Output = Result<TaskResult, TaskFailure>> + Send;
}

/// A handler of any kind, for a pool, with the number of its tasks that the program works on at the same time.
#[derive(Clone)]
pub struct PooledHandler {
    kind: TaskKind,
    concurrency: usize,
    handler: Arc<dyn AnyTaskHandler>,
}

impl PooledHandler {
    /// Adds the number of tasks at the same time, which is at least 1.
    pub fn new<H: TaskHandler>(handler: Arc<H>, concurrency: usize) -> Self {
        Self { kind: H::KIND, concurrency: concurrency.max(1), handler }
    }

    /// The kind of task.
    pub fn kind(&self) -> TaskKind {
        self.kind
    }

    pub(crate) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// See [`TaskHandler::run`].
    ///
    /// # Errors
    /// [`TaskFailure`] when the attempt failed.
    pub async fn run(&self, task: &ClaimedTask, cancelled: CancellationToken) -> Result<TaskResult, TaskFailure> {
        self.handler.run_boxed(task, cancelled).await
    }
}

/// [`TaskHandler`] without its type.
trait AnyTaskHandler: Send + Sync {
    fn run_boxed<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>>;
}

impl<H: TaskHandler> AnyTaskHandler for H {
    fn run_boxed<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>> {
        self.run(task, cancelled).boxed()
    }
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
    /// A failure that no further attempt can repair.
    pub fn never(reason: &str) -> Self {
        Self { reason: TaskNote::from_any_text(reason), retry: RetryDecision::Never }
    }

    /// A failure that may not recur in another attempt.
    pub fn later(reason: &str) -> Self {
        Self { reason: TaskNote::from_any_text(reason), retry: RetryDecision::Later }
    }
}
