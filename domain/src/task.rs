//! A task: work that somebody wants done on something, and a worker does.
//!
//! ```text
//! Unrequested ──request──▶ Requested ──start──▶ Started ──complete──▶ Completed
//!                            │   ▲               │   │
//!                            │   └─failed, again─┘   └─failed for good──▶ Failed
//!                            └──cancel──▶ Cancelled ◀──cancel──┘
//! ```

mod command;
mod error;
mod event;
#[cfg(test)]
mod tests;
mod upcast;
mod value;

use serde::{Deserialize, Serialize};

pub(crate) use self::upcast::VERSION_HISTORIES;
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
    /// Nobody wants it.
    #[default]
    Unrequested,
    /// It waits for a worker.
    Requested {
        /// What is wanted.
        job: TaskSpec,
        /// How often a worker has failed at it.
        failures: u32,
    },
    /// A worker is at it.
    Started {
        /// What is wanted.
        job: TaskSpec,
        /// How often a worker has failed at it before.
        failures: u32,
        /// Who is at it.
        worker: WorkerName,
        /// How much is done.
        percent: ProgressPercent,
    },
    /// It is done.
    Completed {
        /// What was wanted.
        job: TaskSpec,
        /// What came of it.
        result: TaskResult,
    },
    /// It cannot be done.
    Failed {
        /// What was wanted.
        job: TaskSpec,
        /// Why not.
        reason: TaskNote,
    },
    /// Nobody wants it any more.
    Cancelled {
        /// What was wanted.
        job: TaskSpec,
    },
}

impl Task {
    /// Decides which events a command leads to; none if it changes nothing.
    ///
    /// # Errors
    /// [`TaskError`] when the task's state forbids it.
    pub fn decide(&self, command: TaskCommand) -> Result<Vec<TaskEvent>, TaskError> {
        match command {
            TaskCommand::Request { job, stamp } => match self.spec() {
                None => Ok(vec![TaskEvent::Requested { job, stamp }]),
                Some(known) if *known == job => Ok(vec![]),
                Some(_) => Err(TaskError::AlreadyRequested),
            },
            TaskCommand::Start { worker, stamp } => self.start(worker, stamp),
            TaskCommand::Report { worker, percent, note, stamp } => {
                let (_, done) = self.require_running(&worker)?;
                let is_news = percent > done || percent == done && note.is_some();
                Ok(if is_news { vec![TaskEvent::ProgressReported { percent, note, stamp }] } else { vec![] })
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
            Self::Started { worker: busy, .. } if *busy == worker => Ok(vec![]),
            Self::Started { worker: busy, .. } => Err(TaskError::AlreadyStarted { worker: busy.clone() }),
            Self::Unrequested | Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => {
                Err(self.not_running_error())
            }
        }
    }

    /// Failure count and progress, if that worker runs the task. A worker that was given up on and reports late must
    /// not affect the worker that runs the task now.
    fn require_running(&self, worker: &WorkerName) -> Result<(u32, ProgressPercent), TaskError> {
        match self {
            Self::Started { worker: busy, failures, percent, .. } if busy == worker => Ok((*failures, *percent)),
            Self::Started { worker: busy, .. } => Err(TaskError::AlreadyStarted { worker: busy.clone() }),
            Self::Unrequested
            | Self::Requested { .. }
            | Self::Completed { .. }
            | Self::Failed { .. }
            | Self::Cancelled { .. } => Err(self.not_running_error()),
        }
    }

    /// Why something cannot be done to a task that no worker is at.
    fn not_running_error(&self) -> TaskError {
        match self {
            Self::Unrequested => TaskError::NotRequested,
            Self::Requested { .. } | Self::Started { .. } => TaskError::NotStarted,
            Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => TaskError::AlreadyFinished,
        }
    }

    /// How far it is.
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

    /// What is or was wanted, once it was requested.
    pub fn spec(&self) -> Option<&TaskSpec> {
        match self {
            Self::Unrequested => None,
            Self::Requested { job, .. }
            | Self::Started { job, .. }
            | Self::Completed { job, .. }
            | Self::Failed { job, .. }
            | Self::Cancelled { job } => Some(job),
        }
    }

    /// Folds one event into the state. Never fails and checks no rules, since the event is recorded.
    pub fn evolve(&mut self, event: TaskEvent) {
        let before = std::mem::take(self);
        let failures = before.failure_count();
        let Some(job) =
            (if let TaskEvent::Requested { job, .. } = &event { Some(job) } else { before.spec() }).cloned()
        else {
            return;
        };
        *self = match event {
            TaskEvent::Requested { .. } => Self::Requested { job, failures: 0 },
            TaskEvent::Started { worker, .. } => {
                Self::Started { job, failures, worker, percent: ProgressPercent::ZERO }
            }
            TaskEvent::ProgressReported { percent, .. } => match before {
                Self::Started { worker, .. } => Self::Started { job, failures, worker, percent },
                other @ (Self::Unrequested
                | Self::Requested { .. }
                | Self::Completed { .. }
                | Self::Failed { .. }
                | Self::Cancelled { .. }) => other,
            },
            TaskEvent::Completed { result, .. } => Self::Completed { job, result },
            TaskEvent::Failed { attempt, retry: RetryDecision::Later, .. } => {
                Self::Requested { job, failures: attempt }
            }
            TaskEvent::Failed { reason, retry: RetryDecision::Never, .. } => Self::Failed { job, reason },
            TaskEvent::Cancelled { .. } => Self::Cancelled { job },
        };
    }

    /// How often a worker has failed at it.
    pub fn failure_count(&self) -> u32 {
        match self {
            Self::Requested { failures, .. } | Self::Started { failures, .. } => *failures,
            Self::Unrequested | Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } => 0,
        }
    }
}

aggregate!(Task, "task", TaskCommand, TaskEvent, TaskError);
