//! What has happened to a task.
//!
//! These names are a storage format. Add variants and fields; never rename or remove one. The golden test beside this
//! file pins the stored JSON. A changed shape is a new version, which `upcast.rs` lifts the old one to;
//! `schemas/README.md` says what else it takes.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use super::value::{ProgressPercent, RetryDecision, TaskNote, TaskResult, TaskSpec, WorkerName};
use crate::value::AuditStamp;

/// Something that happened to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TaskEvent {
    /// Somebody wants it done.
    Requested {
        /// What is wanted.
        job: TaskSpec,
        /// Who wished it, and when.
        stamp: AuditStamp,
    },
    /// A worker took it.
    Started {
        /// Which one.
        worker: WorkerName,
        /// Attempt number, from 1.
        attempt: u32,
        /// Who said so, and when.
        stamp: AuditStamp,
    },
    /// The worker told how far it is.
    ProgressReported {
        /// How much is done.
        percent: ProgressPercent,
        /// What else it told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<TaskNote>,
        /// Who said so, and when.
        stamp: AuditStamp,
    },
    /// It is done.
    Completed {
        /// What came of it.
        result: TaskResult,
        /// Who said so, and when.
        stamp: AuditStamp,
    },
    /// The worker could not do it.
    Failed {
        /// Number of the attempt that failed, from 1.
        attempt: u32,
        /// Why it could not.
        reason: TaskNote,
        /// Whether it is tried again.
        retry: RetryDecision,
        /// Who said so, and when.
        stamp: AuditStamp,
    },
    /// Nobody wants it any more.
    Cancelled {
        /// Why not.
        reason: TaskNote,
        /// Who wished it, and when.
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
