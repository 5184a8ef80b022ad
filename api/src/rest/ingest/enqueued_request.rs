//! The outcome of adding a request's events to the buffer.

use futures::future::join_all;
use tokio::sync::{mpsc, oneshot};

use super::LaneOutcome;

/// State of a request whose events are in the buffer.
pub(super) enum EnqueuedRequest {
    /// The client is answered now.
    Acknowledged,
    /// The client is answered when the appends have ended.
    Pending(PendingAppends),
}

/// The outcomes of a request's events, one for each lane.
pub(super) struct PendingAppends(pub(super) Vec<oneshot::Receiver<LaneOutcome>>);

impl PendingAppends {
    /// Waits until the events are recorded, and returns the indexes of events in the request whose visits are full.
    /// `None` if an append failed.
    pub(super) async fn wait_for_outcome(self) -> LaneOutcome {
        let mut full = vec![];
        for outcome in join_all(self.0).await {
            full.extend(outcome.ok().flatten()?);
        }
        Some(full)
    }
}

/// Why events are not in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EnqueueError {
    /// The buffer has no room for all events of the request.
    BufferFull,
    /// The process is stopping.
    Stopping,
}

impl<T> From<mpsc::error::TrySendError<T>> for EnqueueError {
    fn from(error: mpsc::error::TrySendError<T>) -> Self {
        match error {
            mpsc::error::TrySendError::Full(_) => Self::BufferFull,
            mpsc::error::TrySendError::Closed(_) => Self::Stopping,
        }
    }
}
