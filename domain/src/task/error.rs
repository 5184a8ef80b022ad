//! Why a command to a task is refused.

use super::value::WorkerName;
use crate::refusal_code::RefusalCode;

/// Why a command to a task is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The id belongs to a task with other work.
    #[error("the task was already requested for other work")]
    AlreadyRequested,
    /// The task was not requested.
    #[error("there is no such task")]
    NotRequested,
    /// Another worker runs the task.
    #[error("the worker {worker} runs the task")]
    AlreadyStarted {
        /// The worker that runs it.
        worker: WorkerName,
    },
    /// No worker runs the task.
    #[error("no worker has started the task")]
    NotStarted,
    /// The task is completed, failed for good or cancelled.
    #[error("the task has already ended")]
    AlreadyFinished,
}

impl RefusalCode for TaskError {
    fn refusal_code(&self) -> &'static str {
        match self {
            Self::AlreadyRequested => "ALREADY_REQUESTED",
            Self::NotRequested => "NOT_FOUND",
            Self::AlreadyStarted { .. } => "ALREADY_STARTED",
            Self::NotStarted => "NOT_STARTED",
            Self::AlreadyFinished => "OVER",
        }
    }

    fn is_missing_object(&self) -> bool {
        matches!(self, Self::NotRequested)
    }
}
