//! Why a command on a task is refused.

use super::value::WorkerName;

/// A business reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// Its id belongs to other work.
    #[error("the task was requested already, for other work")]
    AlreadyRequested,
    /// Nobody has requested it.
    #[error("there is no such task")]
    NotRequested,
    /// Another worker is at it.
    #[error("the worker {worker} is at it")]
    AlreadyStarted {
        /// Which one.
        worker: WorkerName,
    },
    /// No worker is at it.
    #[error("no worker has started the task")]
    NotStarted,
    /// It is done, failed for good or cancelled.
    #[error("the task is over")]
    AlreadyFinished,
}
