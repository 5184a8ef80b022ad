//! The events of a task.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. A test in `tests/` pins the
//! stored JSON. A changed shape needs a new version and an upcaster in `upcast.rs`; `schemas/README.md` lists the other
//! steps.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::{ProgressPercent, RetryDecision, TaskNote, TaskResult, TaskSpec, WorkerName};
use crate::value::AuditStamp;

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

impl DomainEvent for TaskEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Requested { .. } => "task.requested",
            Self::Started { .. } => "task.started",
            Self::ProgressReported { .. } => "task.progress_reported",
            Self::Completed { .. } => "task.completed",
            Self::Failed { .. } => "task.failed",
            Self::Cancelled { .. } => "task.cancelled",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        match self {
            Self::Requested { .. }
            | Self::Started { .. }
            | Self::ProgressReported { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => "1.0",
        }
        .to_owned()
    }
}
