//! Claims of tasks by workers of companies.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use commands::precondition::CommandPreconditions;
use domain::{
    task::{Task, TaskCommand, WorkerName},
    value::{AuditStamp, TenantId},
};
use task_workers::{ClaimRequest, ClaimedTask};
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::service::{failure_status, unavailable_status};
use crate::{
    app_context::AppContext,
    auth::Principal,
    tenant_commands::{self, CommandFailure, DataOwner},
};

/// Maximum number of calls of one company that wait for a task in this process.
const MAX_WAITING_PER_TENANT: usize = 32;

/// Most calls that wait for a task in this process.
const MAX_WAITING: usize = 1_000;

/// Counts the calls that wait for a task, by company.
#[derive(Debug, Clone, Default)]
pub(super) struct WaitingClaims(Arc<Mutex<HashMap<TenantId, usize>>>);

/// The right to wait; it ends when dropped.
#[derive(Debug)]
pub(super) struct WaitingPlace {
    claims: WaitingClaims,
    tenant: TenantId,
}

impl WaitingClaims {
    /// A place for a call of the company; `None` if there is none.
    pub(super) fn take_place(&self, tenant: &TenantId) -> Option<WaitingPlace> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_tenant = counts.get(tenant).copied().unwrap_or_default();
        if of_tenant >= MAX_WAITING_PER_TENANT || counts.values().sum::<usize>() >= MAX_WAITING {
            return None;
        }
        counts.insert(tenant.clone(), of_tenant + 1);
        Some(WaitingPlace { claims: self.clone(), tenant: tenant.clone() })
    }
}

impl Drop for WaitingPlace {
    fn drop(&mut self) {
        let mut counts = self.claims.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

/// Claims a task for a worker, and waits for one until `wait_until`. Each claim runs in its own task: one that succeeds
/// after its caller has disconnected is released.
pub(super) async fn claim_for_worker(
    app: AppContext,
    principal: Principal,
    claim: ClaimRequest,
    wait_until: Instant,
    place: WaitingPlace,
) -> Result<Option<ClaimedTask>, Status> {
    let (mut reply, answer) = oneshot::channel();
    tokio::spawn(async move {
        let _place = place;
        let disconnected = CancellationToken::new();
        let work = claim_startable_task(&app, &principal, &claim, wait_until, &disconnected);
        tokio::pin!(work);
        let claimed = tokio::select! {
            claimed = &mut work => claimed,
            () = reply.closed() => {
                // Ends the waiting, but not a claim that is being made.
                disconnected.cancel();
                work.await
            }
        };
        if let Err(Ok(Some(task))) = reply.send(claimed) {
            let released = app.task_queue.release_claim(&task.tenant_id, &task.task_id, &claim.worker).await;
            if let Err(error) = released {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "releasing the claim of a disconnected worker failed"
                );
            }
        }
    });
    answer.await.unwrap_or_else(|_closed| Err(Status::internal("internal error")))
}

async fn claim_startable_task(
    app: &AppContext,
    principal: &Principal,
    claim: &ClaimRequest,
    wait_until: Instant,
    disconnected: &CancellationToken,
) -> Result<Option<ClaimedTask>, Status> {
    loop {
        let claimed = app.task_queue.claim_before(claim, wait_until, disconnected).await;
        let Some(task) = claimed.map_err(|error| unavailable_status(&error))? else { return Ok(None) };
        let Some(previous) = task.previous_worker.clone() else { return Ok(Some(task)) };
        if fail_previous_attempt_of(app, principal, &task, previous).await? {
            return Ok(Some(task));
        }
    }
}

/// Records that the attempt of a worker whose lease has ended failed. False if the log is ahead of the queue: that
/// worker has ended the task meanwhile, or another one has started it.
async fn fail_previous_attempt_of(
    app: &AppContext,
    principal: &Principal,
    task: &ClaimedTask,
    previous: WorkerName,
) -> Result<bool, Status> {
    let stamp = app.dispatcher.stamp(&principal.sender);
    let command = task.fail_previous_attempt(previous, stamp);
    let command = command.map_err(|error| unavailable_status(&error))?;
    let is_last = task.is_last_attempt();
    let conditions = CommandPreconditions::with_version(Some(task.version));
    let abandon = move |_stamp: AuditStamp| -> TaskCommand { command };
    match tenant_commands::dispatch::<Task>(app, principal, DataOwner::Company, &task.task_id, &conditions, abandon)
        .await
    {
        Ok(_) => Ok(!is_last),
        Err(CommandFailure::Rejected { .. } | CommandFailure::Outdated { .. }) => Ok(false),
        Err(failure) => Err(failure_status(&failure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_waits_with_a_limited_number_of_calls() {
        let (claims, acme) = (WaitingClaims::default(), TenantId::try_new("acme").unwrap());
        let places: Vec<_> = (0..MAX_WAITING_PER_TENANT).map(|_| claims.take_place(&acme).unwrap()).collect();
        assert!(claims.take_place(&acme).is_none());
        assert!(claims.take_place(&TenantId::try_new("other").unwrap()).is_some());
        drop(places);
        assert!(claims.take_place(&acme).is_some());
        assert!(claims.0.lock().unwrap().is_empty(), "nothing remains of those that have ended");
    }
}
