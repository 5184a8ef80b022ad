//! Rebuilds that are started over the API: they continue after the response, until the service stops.

use std::sync::Arc;

use projections::runtime::{AnyProjection, ProjectionRuntime, RebuildError, RebuildOptions, RebuildProgress};
use tokio::sync::{oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Runs rebuilds in the background. Cheap to clone; clones share the running rebuilds.
#[derive(Clone)]
pub struct BackgroundRebuilds {
    runtime: ProjectionRuntime,
    running: TaskTracker,
    stop: CancellationToken,
}

impl BackgroundRebuilds {
    pub(super) fn new(runtime: ProjectionRuntime) -> Self {
        Self { runtime, running: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Starts a rebuild of these projections, or resumes an interrupted one, and returns as soon as it is recorded.
    ///
    /// # Errors
    /// [`RebuildError`] when it cannot start; a later error is recorded with the rebuild.
    pub async fn start_rebuild(
        &self,
        projections: Vec<Arc<dyn AnyProjection>>,
        options: RebuildOptions,
    ) -> Result<(), RebuildError> {
        let (progress, mut seen) = watch::channel(RebuildProgress::default());
        let (ending, ended) = oneshot::channel();
        let (runtime, stop) = (self.runtime.clone(), self.stop.clone());
        self.running.spawn(async move {
            let outcome = runtime.rebuild(&projections, &options, &progress, &stop).await;
            match &outcome {
                Ok(report) => tracing::info!(rebuild = report.id, events = report.events, "rebuild completed"),
                Err(error) => tracing::warn!(error = error as &dyn std::error::Error, "rebuild failed"),
            }
            if ending.send(outcome).is_err() {
                tracing::debug!("rebuild ended in the background");
            }
        });
        if seen.wait_for(|progress| progress.id > 0).await.is_ok() {
            return Ok(());
        }
        match ended.await {
            Ok(outcome) => outcome.map(drop),
            Err(_interrupted) => Err(RebuildError::Interrupted),
        }
    }

    /// Waits until `stop` is cancelled, then until every rebuild has recorded its progress.
    pub async fn run_until_stopped(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}
