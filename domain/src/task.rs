//! A task: requested work on a subject, carried out by a worker.
//!
//! ```text
//! Unrequested ──request──▶ Requested ──start──▶ Started ──complete──▶ Completed
//!                            │   ▲               │   │
//!                            │   └─failed, retry─┘   └─failed for good──▶ Failed
//!                            └──cancel──▶ Cancelled ◀──cancel──┘
//! ```

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};

pub use self::{
    command::TaskCommand,
    error::TaskError,
    event::TaskEvent,
    value::{
        MAX_ATTEMPTS, MAX_PARAMETERS, NamedParameter, ParameterList, ProgressPercent, RetryDecision, SubjectKind,
        TaskKind, TaskNote, TaskResult, TaskSpec, TaskStatus, TaskSubject, WorkerName,
    },
};
use crate::aggregate::aggregate;

/// State of one task, rebuilt from its events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// The task was not requested yet.
    #[default]
    Unrequested,
    /// The task waits for a worker.
    Requested {
        /// The requested work.
        #[serde(rename = "job")]
        spec: TaskSpec,
        /// The number of failed attempts.
        failures: u32,
    },
    /// A worker runs the task.
    Started {
        /// The requested work.
        #[serde(rename = "job")]
        spec: TaskSpec,
        /// The number of failed attempts before this one.
        failures: u32,
        /// The worker that runs it.
        worker: WorkerName,
        /// The reported progress.
        percent: ProgressPercent,
    },
    /// The task succeeded.
    Completed {
        /// The requested work.
        #[serde(rename = "job")]
        spec: TaskSpec,
        /// The result.
        result: TaskResult,
    },
    /// The task failed and is not tried again.
    Failed {
        /// The requested work.
        #[serde(rename = "job")]
        spec: TaskSpec,
        /// Why the last attempt failed.
        reason: TaskNote,
    },
    /// The task was cancelled.
    Cancelled {
        /// The requested work.
        #[serde(rename = "job")]
        spec: TaskSpec,
    },
}

impl Task {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`TaskError`] when the task's state forbids it.
    pub fn decide(&self, command: TaskCommand) -> Result<Vec<TaskEvent>, TaskError> {
        match command {
            TaskCommand::Request { spec, stamp } => match self.spec() {
                None => Ok(vec![TaskEvent::Requested { spec, stamp }]),
                Some(known) if *known == spec => Ok(vec![]),
                Some(_) => Err(TaskError::AlreadyRequested),
            },
            TaskCommand::Start { worker, stamp } => self.start(worker, stamp),
            TaskCommand::Report { worker, percent, note, stamp } => {
                let (_, reported) = self.require_running(&worker)?;
                let is_change = percent > reported || percent == reported && note.is_some();
                Ok(if is_change { vec![TaskEvent::ProgressReported { percent, note, stamp }] } else { vec![] })
            }
            TaskCommand::Complete { worker, result, stamp } => match self {
                Self::Completed { result: known, .. } if *known == result => Ok(vec![]),
                Self::Unrequested
                | Self::Requested { .. }
                | Self::Started { .. }
                | Self::Completed { .. }
                | Self::Failed { .. }
                | Self::Cancelled { .. } => {
                    self.require_running(&worker)?;
                    Ok(vec![TaskEvent::Completed { result, stamp }])
                }
            },
            TaskCommand::Fail { worker, reason, retry, stamp } => {
                let (failures, _) = self.require_running(&worker)?;
                let attempt = failures + 1;
                let retry = if attempt < MAX_ATTEMPTS { retry } else { RetryDecision::Never };
                Ok(vec![TaskEvent::Failed { attempt, reason, retry, stamp }])
            }
            TaskCommand::Cancel { reason, stamp } => match self {
                Self::Requested { .. } | Self::Started { .. } => Ok(vec![TaskEvent::Cancelled { reason, stamp }]),
                Self::Cancelled { .. } => Ok(vec![]),
                Self::Unrequested | Self::Completed { .. } | Self::Failed { .. } => Err(self.not_running_error()),
            },
        }
    }

    fn start(&self, worker: WorkerName, stamp: crate::value::AuditStamp) -> Result<Vec<TaskEvent>, TaskError> {
        match self {
            Self::Requested { failures, .. } => Ok(vec![TaskEvent::Started { worker, attempt: failures + 1, stamp }]),
            Self::Started { worker: current, .. } if *current == worker => Ok(vec![]),
            Self::Started { worker: current, .. } => Err(TaskError::AlreadyStarted { worker: current.clone() }),
            Self::Unrequested | Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => {
                Err(self.not_running_error())
            }
        }
    }

    /// Failure count and progress, if that worker runs the task. A late report of an earlier worker must not affect the
    /// worker that runs the task now.
    fn require_running(&self, worker: &WorkerName) -> Result<(u32, ProgressPercent), TaskError> {
        match self {
            Self::Started { worker: current, failures, percent, .. } if current == worker => Ok((*failures, *percent)),
            Self::Started { worker: current, .. } => Err(TaskError::AlreadyStarted { worker: current.clone() }),
            Self::Unrequested
            | Self::Requested { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => Err(self.not_running_error()),
        }
    }

    /// The refusal of a command that requires a running task.
    fn not_running_error(&self) -> TaskError {
        match self {
            Self::Unrequested => TaskError::NotRequested,
            Self::Requested { .. } | Self::Started { .. } => TaskError::NotStarted,
            Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => TaskError::AlreadyFinished,
        }
    }

    /// The current status.
    pub fn status(&self) -> TaskStatus {
        match self {
            Self::Unrequested => TaskStatus::Unrequested,
            Self::Requested { .. } => TaskStatus::Requested,
            Self::Started { .. } => TaskStatus::Started,
            Self::Completed { .. } => TaskStatus::Completed,
            Self::Failed { .. } => TaskStatus::Failed,
            Self::Cancelled { .. } => TaskStatus::Cancelled,
        }
    }

    /// The requested work; `None` before the request.
    pub fn spec(&self) -> Option<&TaskSpec> {
        match self {
            Self::Unrequested => None,
            Self::Requested { spec, .. }
            | Self::Started { spec, .. }
            | Self::Completed { spec, .. }
            | Self::Failed { spec, .. }
            | Self::Cancelled { spec } => Some(spec),
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: TaskEvent) {
        let before = std::mem::take(self);
        let failures = before.failure_count();
        let Some(spec) =
            (if let TaskEvent::Requested { spec, .. } = &event { Some(spec) } else { before.spec() }).cloned()
        else {
            return;
        };
        *self = match event {
            TaskEvent::Requested { .. } => Self::Requested { spec, failures: 0 },
            TaskEvent::Started { worker, .. } => {
                Self::Started { spec, failures, worker, percent: ProgressPercent::ZERO }
            }
            TaskEvent::ProgressReported { percent, .. } => match before {
                Self::Started { worker, .. } => Self::Started { spec, failures, worker, percent },
                other @ (Self::Unrequested
                | Self::Requested { .. }
                | Self::Completed { .. }
                | Self::Failed { .. }
                | Self::Cancelled { .. }) => other,
            },
            TaskEvent::Completed { result, .. } => Self::Completed { spec, result },
            TaskEvent::Failed { attempt, retry: RetryDecision::Later, .. } => {
                Self::Requested { spec, failures: attempt }
            }
            TaskEvent::Failed { reason, retry: RetryDecision::Never, .. } => Self::Failed { spec, reason },
            TaskEvent::Cancelled { .. } => Self::Cancelled { spec },
        };
    }

    /// The number of failed attempts while the task is requested or started; 0 in any other status.
    pub fn failure_count(&self) -> u32 {
        match self {
            Self::Requested { failures, .. } | Self::Started { failures, .. } => *failures,
            Self::Unrequested | Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => 0,
        }
    }
}

aggregate!(Task, "task", TaskCommand, TaskEvent, TaskError);
