//! How a process runner is doing, for the readiness of its program.

use std::time::{Duration, Instant};

/// What a runner repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunnerTask {
    Timers,
    Commands,
}

/// How a process runner is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunnerStatus {
    timers: TaskStatus,
    commands: TaskStatus,
}

/// The rounds of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct TaskStatus {
    /// When the present round began; `None` in the pauses between rounds.
    began_at: Option<Instant>,
    /// Whether a round has ended.
    has_ended: bool,
    /// Why the last round did not do its work.
    error: Option<String>,
}

/// The state of a process runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunnerState {
    /// It has not looked for work yet.
    Starting,
    /// It sends commands and fires timers.
    Running,
    /// It cannot do its work, and tries again.
    Retrying,
    /// A round takes too long.
    Stuck,
}

impl RunnerState {
    /// Its name, as `/ready` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Stuck => "stuck",
        }
    }
}

impl RunnerStatus {
    /// Records that a round of a task begins.
    pub(crate) fn begin_round(&mut self, task: RunnerTask, now: Instant) {
        self.task(task).began_at = Some(now);
    }

    /// Records that the round of a task has ended.
    pub(crate) fn end_round(&mut self, task: RunnerTask, error: Option<String>) {
        *self.task(task) = TaskStatus { began_at: None, has_ended: true, error };
    }

    fn task(&mut self, task: RunnerTask) -> &mut TaskStatus {
        match task {
            RunnerTask::Timers => &mut self.timers,
            RunnerTask::Commands => &mut self.commands,
        }
    }

    /// The state now; a task whose round takes longer than `stuck_after` is stuck.
    pub fn state(&self, stuck_after: Duration, now: Instant) -> RunnerState {
        let tasks = [&self.timers, &self.commands];
        if tasks.iter().any(|task| task.began_at.is_some_and(|at| now.saturating_duration_since(at) > stuck_after)) {
            RunnerState::Stuck
        } else if tasks.iter().any(|task| task.error.is_some()) {
            RunnerState::Retrying
        } else if tasks.iter().any(|task| !task.has_ended) {
            RunnerState::Starting
        } else {
            RunnerState::Running
        }
    }

    /// Why the last round of a task did not do its work.
    pub fn last_error(&self) -> Option<&str> {
        self.timers.error.as_deref().or(self.commands.error.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_task_determines_the_state() {
        let (mut status, limit, start) = (RunnerStatus::default(), Duration::from_mins(1), Instant::now());
        assert_eq!(status.state(limit, start), RunnerState::Starting);
        status.end_round(RunnerTask::Timers, None);
        assert_eq!(status.state(limit, start), RunnerState::Starting);
        status.end_round(RunnerTask::Commands, Some("no connection".to_owned()));
        assert_eq!((status.state(limit, start), status.last_error()), (RunnerState::Retrying, Some("no connection")));
        status.end_round(RunnerTask::Commands, None);
        assert_eq!((status.state(limit, start), status.last_error()), (RunnerState::Running, None));
    }

    #[test]
    fn only_a_round_that_takes_too_long_is_stuck() {
        let (mut status, limit, start) = (RunnerStatus::default(), Duration::from_mins(1), Instant::now());
        let later = start + limit + Duration::from_secs(1);
        status.begin_round(RunnerTask::Timers, start);
        assert_eq!(status.state(limit, start + limit), RunnerState::Starting);
        assert_eq!(status.state(limit, later), RunnerState::Stuck, "the first round, too");
        // The pause after a failed round may be as long as the limit.
        status.end_round(RunnerTask::Timers, Some("no connection".to_owned()));
        assert_eq!(status.state(limit, later + limit), RunnerState::Retrying);
    }
}
