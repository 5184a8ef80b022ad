//! How the claims of a worker pool wait for tasks: one statement looks for those that other programs have added, for all
//! claims together.

use std::time::Duration;

use domain::{error_chain::format_error_chain, task::TaskKind};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{ClaimRequest, TaskQueue, TaskQueueError, postgres_error};
use crate::ClaimedTask;

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
            let woken = self.tasks_added.notified();
            tokio::pin!(woken);
            // From here on a signal is not missed.
            woken.as_mut().enable();
            if let Some(task) = self.claim_task(request).await? {
                return Ok(Some(task));
            }
            tokio::select! {
                () = self.stopping.cancelled() => return Ok(None),
                () = cancelled.cancelled() => return Ok(None),
                () = woken => {}
            }
        }
    }

    /// Wakes all claims up whenever tasks of these kinds can be claimed: those that other programs have added, and those
    /// whose leases have ended. Runs until `stop`, or until this program stops.
    pub(crate) async fn wake_claims(&self, kinds: &[TaskKind], interval: Duration, stop: &CancellationToken) {
        let kinds: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        loop {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                () = stop.cancelled() => return,
                () = sleep(interval) => {}
            }
            let has_claimable = self.has_claimable_tasks(&kinds).await.unwrap_or_else(|error| {
                // The claims find out and report it.
                tracing::debug!(reason = format_error_chain(&error), "not looked for tasks");
                true
            });
            if has_claimable {
                self.tasks_added.notify_waiters();
            }
        }
    }

    async fn has_claimable_tasks(&self, kinds: &[&str]) -> Result<bool, TaskQueueError> {
        let found = sqlx::query_scalar(
            "select exists (select from task_queue
                 where kind = any($1) and status <> 'ended' and not for_tenant and claimable_at <= now())",
        );
        found.bind(kinds).fetch_one(&self.pool).await.map_err(postgres_error("looking for tasks"))
    }
}
