//! The status of a worker.

use tokio::sync::watch;

use super::ReadModelGeneration;

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// Waiting for its partitions.
    Starting,
    /// Consuming, or waiting for records.
    Running,
    /// Retrying a failed batch.
    Retrying,
    /// Pinging its store until it answers, after too many consecutive failures.
    Paused,
    /// Ended.
    Stopped,
}

impl WorkerState {
    /// Its name in tables and API responses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The state and figures of a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerStatus {
    /// The projection.
    pub name: &'static str,
    /// Its generation.
    pub generation: ReadModelGeneration,
    /// What it is doing.
    pub state: WorkerState,
    /// Number of assigned partitions.
    pub partitions: usize,
    /// Highest log position that it has applied or parked since it started; 0 before the first.
    pub position: u64,
    /// Events applied since it started.
    pub applied: u64,
    /// Events parked since it started.
    pub parked: u64,
    /// Events backfilled from the log, because Kafka no longer had them, since it started.
    pub healed: u64,
    /// Age of the newest event of the last batch when it was applied, in seconds; 0 when the batch had no event.
    pub lag_s: f64,
    /// The last error, until a batch succeeds.
    pub last_error: Option<String>,
}

/// Reads a worker's status while it runs.
#[derive(Debug, Clone)]
pub struct StatusReader(watch::Receiver<WorkerStatus>);

impl StatusReader {
    /// The current status.
    pub fn get(&self) -> WorkerStatus {
        self.0.borrow().clone()
    }

    /// Waits for the next change; returns at once when the worker has ended.
    pub async fn changed(&mut self) {
        // A closed channel means that the worker has ended; its last status stays readable.
        drop(self.0.changed().await);
    }
}

/// Figures of an applied batch.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct BatchProgress {
    pub(super) applied: u64,
    pub(super) parked: u64,
    pub(super) backfilled: u64,
    pub(super) position: u64,
    pub(super) lag_s: f64,
    /// Age of the oldest event of the batch when it was applied, in seconds.
    pub(super) delay_s: f64,
}

/// The writing side of a worker's status.
#[derive(Debug, Clone)]
pub(super) struct StatusWriter(watch::Sender<WorkerStatus>);

impl StatusWriter {
    pub(super) fn new(name: &'static str, generation: ReadModelGeneration) -> Self {
        Self(watch::Sender::new(WorkerStatus {
            name,
            generation,
            state: WorkerState::Starting,
            partitions: 0,
            position: 0,
            applied: 0,
            parked: 0,
            healed: 0,
            lag_s: 0.0,
            last_error: None,
        }))
    }

    pub(super) fn reader(&self) -> StatusReader {
        StatusReader(self.0.subscribe())
    }

    pub(super) fn set_partitions(&self, partitions: usize) {
        self.0.send_modify(|status| {
            status.partitions = partitions;
            if status.state == WorkerState::Starting {
                status.state = WorkerState::Running;
            }
        });
    }

    pub(super) fn record_progress(&self, progress: BatchProgress) {
        self.0.send_modify(|status| {
            status.state = WorkerState::Running;
            status.applied += progress.applied;
            status.parked += progress.parked;
            status.healed += progress.backfilled;
            status.position = status.position.max(progress.position);
            status.lag_s = progress.lag_s;
            status.last_error = None;
        });
    }

    /// Records a failure. Returns whether it is a new one.
    pub(super) fn record_failure(&self, state: WorkerState, error: String) -> bool {
        self.0.send_if_modified(|status| {
            let is_new = status.state != state || status.last_error.as_ref() != Some(&error);
            status.state = state;
            status.last_error = Some(error);
            is_new
        })
    }

    /// Records an error of the consumer. The state does not change, because it is about the store. Returns whether the
    /// error is a new one.
    pub(super) fn record_consumer_error(&self, error: String) -> bool {
        self.0.send_if_modified(|status| {
            let is_new = status.last_error.as_ref() != Some(&error);
            status.last_error = Some(error);
            is_new
        })
    }

    pub(super) fn mark_stopped(&self) {
        self.0.send_modify(|status| status.state = WorkerState::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_error_is_reported_once() {
        let status = StatusWriter::new("x", ReadModelGeneration::FIRST);
        assert!(status.record_failure(WorkerState::Retrying, "unavailable".into()));
        assert!(!status.record_failure(WorkerState::Retrying, "unavailable".into()));
        assert!(status.record_failure(WorkerState::Retrying, "refused".into()));
        status.record_progress(BatchProgress { applied: 3, position: 7, ..BatchProgress::default() });
        assert!(status.record_failure(WorkerState::Retrying, "refused".into()));
        let seen = status.reader().get();
        assert_eq!((seen.applied, seen.position, seen.state), (3, 7, WorkerState::Retrying));
    }
}
