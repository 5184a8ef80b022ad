//! The stop of a server in two steps: it is announced, so that clients leave, and then it begins.

use std::{future::Future, time::Duration};

use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// When a server stops. Clones are signalled together.
#[derive(Debug, Clone)]
pub struct ServerStop {
    announced: CancellationToken,
    begun: CancellationToken,
    /// `WebSocket`s that still have to answer something before they are closed.
    sockets: TaskTracker,
}

impl ServerStop {
    /// A stop that `announced` announces, and that begins with `begun`, which may come without the other.
    pub fn new(announced: CancellationToken, begun: CancellationToken) -> Self {
        Self { announced, begun, sockets: TaskTracker::new() }
    }

    /// Whether clients have to leave.
    pub(super) fn is_announced(&self) -> bool {
        self.announced.is_cancelled() || self.begun.is_cancelled()
    }

    /// Returns when clients have to leave.
    pub(super) async fn wait_until_announced(&self) {
        tokio::select! {
            () = self.announced.cancelled() => {}
            () = self.begun.cancelled() => {}
        }
    }

    /// Whether no more connections are accepted.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Returns when no more connections are accepted, and connections that wait for their clients have to end.
    pub(crate) async fn wait_until_begun(&self) {
        self.begun.cancelled().await;
    }

    /// Delays the end of the server until the token is dropped: when the client of a `WebSocket` was sent its close
    /// frame.
    pub(crate) fn track_socket(&self) -> TaskTrackerToken {
        self.sockets.token()
    }

    /// Returns when the client of every tracked `WebSocket` was sent its close frame.
    pub(super) async fn wait_for_sockets(&self) {
        self.sockets.close();
        self.sockets.wait().await;
    }

    /// Awaits `work` until the stop begins.
    pub(super) async fn run_until_begun(self, work: impl Future<Output = ()>) {
        let _ended = self.begun.run_until_cancelled(work).await;
    }

    /// Awaits `work`, at most until a time after the stop has begun.
    pub(super) async fn run_until_grace_ends<T>(&self, grace: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            output = work => Some(output),
            () = async { self.begun.cancelled().await; tokio::time::sleep(grace).await } => None,
        }
    }
}
