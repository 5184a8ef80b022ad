//! What a worker says about itself.

use tokio::sync::watch;

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerState {
    /// Waiting for its partitions.
    Starting,
    /// Consuming, or waiting for events.
    Running,
    /// Trying again: its store is away.
    Retrying,
    /// Held up by an event that makes no sense.
    Poisoned,
    /// Ended.
    Stopped,
}

/// A worker's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerStatus {
    /// The projection.
    pub name: &'static str,
    /// What it is doing.
    pub state: WorkerState,
    /// Highest log position it has applied since it started; 0 before the first.
    pub position: u64,
    /// Events it has applied since it started.
    pub applied: u64,
    /// What went wrong last, until it is over.
    pub last_error: Option<String>,
}

/// Reads a worker's status while it runs.
#[derive(Debug, Clone)]
pub struct StatusReader(watch::Receiver<WorkerStatus>);

impl StatusReader {
    /// The status now.
    pub fn get(&self) -> WorkerStatus {
        self.0.borrow().clone()
    }

    /// Waits for the next change; at once when the worker is gone.
    pub async fn changed(&mut self) {
        // A closed channel means the worker has ended: its last status stays readable.
        drop(self.0.changed().await);
    }
}

/// The worker's own end of its status.
#[derive(Debug, Clone)]
pub(super) struct StatusWriter(watch::Sender<WorkerStatus>);

impl StatusWriter {
    pub(super) fn new(name: &'static str) -> Self {
        let status = WorkerStatus { name, state: WorkerState::Starting, position: 0, applied: 0, last_error: None };
        Self(watch::Sender::new(status))
    }

    pub(super) fn reader(&self) -> StatusReader {
        StatusReader(self.0.subscribe())
    }

    /// Partitions were handed out.
    pub(super) fn assigned(&self) {
        self.0.send_if_modified(|status| {
            let waiting = status.state == WorkerState::Starting;
            if waiting {
                status.state = WorkerState::Running;
            }
            waiting
        });
    }

    /// Events went in.
    pub(super) fn applied(&self, events: u64, position: u64) {
        self.0.send_modify(|status| {
            status.state = WorkerState::Running;
            status.applied += events;
            status.position = status.position.max(position);
            status.last_error = None;
        });
    }

    /// Something is wrong. True when it is news.
    pub(super) fn failed(&self, state: WorkerState, error: String) -> bool {
        self.0.send_if_modified(|status| {
            let news = status.state != state || status.last_error.as_ref() != Some(&error);
            status.state = state;
            status.last_error = Some(error);
            news
        })
    }

    /// Consuming failed, which says nothing about the store. True when it is news.
    pub(super) fn disturbed(&self, error: String) -> bool {
        self.0.send_if_modified(|status| {
            let news = status.last_error.as_ref() != Some(&error);
            status.last_error = Some(error);
            news
        })
    }

    pub(super) fn stopped(&self) {
        self.0.send_modify(|status| status.state = WorkerState::Stopped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_news_only_once() {
        let status = StatusWriter::new("x");
        assert!(status.failed(WorkerState::Retrying, "away".into()));
        assert!(!status.failed(WorkerState::Retrying, "away".into()));
        assert!(status.failed(WorkerState::Retrying, "refused".into()));
        status.applied(3, 7);
        assert!(status.failed(WorkerState::Retrying, "refused".into()));
        let seen = status.reader().get();
        assert_eq!((seen.applied, seen.position, seen.state), (3, 7, WorkerState::Retrying));
    }
}
