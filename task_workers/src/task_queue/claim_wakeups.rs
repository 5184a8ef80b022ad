//! Wakes the claims of a worker pool up: one statement looks for tasks that other programs have added, for all claims
//! together.

use std::time::Duration;

use domain::{error_chain::format_error_chain, task::TaskKind};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{ClaimRequest, TaskQueue, TaskQueueError, postgres_error};
use crate::ClaimedTask;

/// How long a look for tasks may take: a server process may hang with its connection open.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

impl TaskQueue {
    /// Claims a task, and waits until [`Self::wake_claims`] or an event of this program wakes it up, until `cancelled`, or
    /// until this program stops.
    ///
    /// # Errors
    /// As [`Self::claim_task`].
    pub(crate) async fn claim_when_woken(
        &self,
        request: &ClaimRequest,
        cancelled: &CancellationToken,
    ) -> Result<Option<ClaimedTask>, TaskQueueError> {
        loop {
            let (added, found) = (self.tasks_added.notified(), self.tasks_found.notified());
            tokio::pin!(added, found);
            // From here on a signal is not missed.
            added.as_mut().enable();
            found.as_mut().enable();
            if let Some(task) = self.claim_task(request).await? {
                return Ok(Some(task));
            }
            tokio::select! {
                () = self.stopping.cancelled() => return Ok(None),
                () = cancelled.cancelled() => return Ok(None),
                () = added => {}
                () = found => {}
            }
        }
    }

    /// Wakes up the claims that wait in [`Self::claim_when_woken`] whenever tasks of these kinds can be claimed: tasks
    /// that other programs have added, or whose leases have ended. Runs until `stop`, or until this program stops.
    pub(crate) async fn wake_claims(&self, kinds: &[TaskKind], interval: Duration, stop: &CancellationToken) {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = stop.cancelled() => return,
                () = sleep(interval) => {}
            }
            // If it is not known, the claims find out, and report why not.
            let has_claimable = match timeout(LOOK_TIMEOUT, self.has_claimable_tasks(&kinds)).await {
                Ok(Ok(has_claimable)) => has_claimable,
                Ok(Err(error)) => {
                    tracing::debug!(reason = format_error_chain(&error), "looking for tasks failed");
                    true
                }
                Err(_elapsed) => {
                    tracing::debug!(timeout_s = LOOK_TIMEOUT.as_secs(), "looking for tasks timed out");
                    true
                }
            };
            if has_claimable {
                self.tasks_found.notify_waiters();
            }
        }
    }

    async fn has_claimable_tasks(&self, kinds: &[&str]) -> Result<bool, TaskQueueError> {
        let found = sqlx::query_scalar(include_str!("has_claimable.sql"));
        found.bind(kinds).fetch_one(&self.pool).await.map_err(postgres_error("looking for tasks"))
    }
}
