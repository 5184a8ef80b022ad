//! The commands of a task.

use super::value::{ProgressPercent, RetryDecision, TaskNote, TaskResult, TaskSpec, WorkerName};
use crate::value::AuditStamp;

/// A command for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskCommand {
    /// Requests the task.
    Request {
        /// The work to do.
        spec: TaskSpec,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
    /// A worker takes the task.
    Start {
        /// The worker.
        worker: WorkerName,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// The worker reports progress.
    Report {
        /// The worker.
        worker: WorkerName,
        /// How much of the task is done.
        percent: ProgressPercent,
        /// The worker's note.
        note: Option<TaskNote>,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// The worker completes the task.
    Complete {
        /// The worker.
        worker: WorkerName,
        /// The result of the work.
        result: TaskResult,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// The worker's attempt failed.
    Fail {
        /// The worker.
        worker: WorkerName,
        /// Why it failed.
        reason: TaskNote,
        /// Whether another attempt may succeed.
        retry: RetryDecision,
        /// Who reports it, and when.
        stamp: AuditStamp,
    },
    /// Cancels the task.
    Cancel {
        /// Why it is cancelled.
        reason: TaskNote,
        /// Who issues the command, and when.
        stamp: AuditStamp,
    },
}
