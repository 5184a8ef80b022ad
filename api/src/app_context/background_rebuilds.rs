//! Rebuilds that are asked for over the API: they go on when the request is answered, until the service stops.

use std::sync::Arc;

use projections::runtime::{AnyProjection, ProjectionRuntime, RebuildError, RebuildOptions, RebuildProgress};
use tokio::sync::{oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What runs rebuilds in the background. Cheap to clone; clones share what runs.
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

    /// Begins a rebuild of these projections, or goes on with one that was cut off; answers as soon as it is on record.
    ///
    /// # Errors
    /// [`RebuildError`] when it cannot begin; what stops it later is on record.
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
                Ok(report) => tracing::info!(rebuild = report.id, events = report.events, "readers were switched"),
                Err(error) => tracing::warn!(error = error as &dyn std::error::Error, "a rebuild came to no end"),
            }
            if ending.send(outcome).is_err() {
                tracing::debug!("nobody waits for the end of the rebuild");
            }
        });
        if seen.wait_for(|progress| progress.id > 0).await.is_ok() {
            return Ok(());
        }
        match ended.await {
            Ok(outcome) => outcome.map(drop),
            Err(_cut_off) => Err(RebuildError::Interrupted),
        }
    }

    /// Waits until the service stops, then until every rebuild has written down where it is.
    pub(crate) async fn run_until_stopped(self, stop: CancellationToken) {
        stop.cancelled().await;
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
    }
}
