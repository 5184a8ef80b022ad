//! What can be asked of a task.

use super::value::{ProgressPercent, RetryDecision, TaskNote, TaskResult, TaskSpec, WorkerName};
use crate::value::AuditStamp;

/// A wish about one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskCommand {
    /// Have it done.
    Request {
        /// What is wanted.
        job: TaskSpec,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
    /// A worker takes it.
    Start {
        /// Which one.
        worker: WorkerName,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// The worker tells how far it is.
    Report {
        /// Which worker.
        worker: WorkerName,
        /// How much is done.
        percent: ProgressPercent,
        /// What else it tells.
        note: Option<TaskNote>,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// The worker is done.
    Complete {
        /// Which worker.
        worker: WorkerName,
        /// What came of it.
        result: TaskResult,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// The worker could not do it.
    Fail {
        /// Which worker.
        worker: WorkerName,
        /// Why not.
        reason: TaskNote,
        /// Whether trying again may help.
        retry: RetryDecision,
        /// Who says so, and when.
        stamp: AuditStamp,
    },
    /// Do not have it done.
    Cancel {
        /// Why not.
        reason: TaskNote,
        /// Who wishes it, and when.
        stamp: AuditStamp,
    },
}
