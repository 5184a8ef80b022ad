//! The events of a task.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version with an upcaster, in `event_versions!`; `schemas/README.md` lists the
//! other steps.

use serde::{Deserialize, Serialize};

use super::value::{ProgressPercent, RetryDecision, TaskNote, TaskResult, TaskSpec, WorkerName};
use crate::{event_version::event_versions, value::AuditStamp};

/// An event of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TaskEvent {
    /// The task was requested.
    Requested {
        /// The requested work.
        #[serde(rename = "job")]
        spec: TaskSpec,
        /// Who requested it, and when.
        stamp: AuditStamp,
    },
    /// A worker started an attempt.
    Started {
        /// The worker.
        worker: WorkerName,
        /// Attempt number, from 1.
        attempt: u32,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The worker reported progress.
    ProgressReported {
        /// The progress.
        percent: ProgressPercent,
        /// The worker's note.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<TaskNote>,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The task was completed.
    Completed {
        /// The result.
        result: TaskResult,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// An attempt failed.
    Failed {
        /// Number of the failed attempt, from 1.
        attempt: u32,
        /// Why it failed.
        reason: TaskNote,
        /// Whether another attempt follows.
        retry: RetryDecision,
        /// Who reported it, and when.
        stamp: AuditStamp,
    },
    /// The task was cancelled.
    Cancelled {
        /// Why it was cancelled.
        reason: TaskNote,
        /// Who requested it, and when.
        stamp: AuditStamp,
    },
}

event_versions! {
    TaskEvent {
        Requested => "task.requested", "1.0";
        Started => "task.started", "1.0";
        ProgressReported => "task.progress_reported", "1.0";
        Completed => "task.completed", "1.0";
        Failed => "task.failed", "1.0";
        Cancelled => "task.cancelled", "1.0";
    }
}
