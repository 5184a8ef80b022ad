//! Implementation of the task service.

use std::time::Duration;

use commands::precondition::{CommandPreconditions, IdempotencyKey};
use domain::{
    proposal_generation::check_requested_task,
    task::{ProgressPercent, RetryDecision, Task, TaskCommand, TaskNote, TaskResult, WorkerName},
    value::{AuditStamp, TenantId},
};
use projections::tenant_views::{ListCursor, ListGroup};
use prost::Message as _;
use task_workers::{ClaimRequest, ClaimState};
use tokio::time::Instant;
use tonic::{Request, Response, Status, metadata::MetadataValue};
use uuid::Uuid;

use super::{
    argument_error::{invalid_argument, invalid_value_status},
    claims::{self, WaitingClaims},
    conversion,
    deadline::CallDeadline,
    pb::{
        ClaimTaskRequest, ClaimTaskResponse, GetTaskStatusRequest, ListTasksRequest, ListTasksResponse,
        ProcessTaskRequest, ProcessTaskResponse, RenewClaimRequest, RenewClaimResponse, Task as TaskView, TaskKind,
        TaskStatus, process_task_request::Step, task_service_server::TaskService,
    },
};
use crate::{
    admission_queue::QueueFull,
    app_context::AppContext,
    auth::Principal,
    http::{
        load_shedder::{RequestPermit, RequestPriority},
        request_gate::RequestGate,
    },
    pagination::{DEFAULT_PAGE_SIZE, check_page_size},
    tenant_commands::{self, CommandFailure, DataOwner},
};

/// How long a claim holds if the worker does not say.
const DEFAULT_LEASE: Duration = Duration::from_secs(30);

/// Longest time that a call waits for a task, in seconds.
const MAX_CLAIM_WAIT_S: u32 = 20;

/// How long before the end of a call its answer is sent at the latest.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Maximum bytes of a page: clients accept messages of 4 MiB by default.
const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// Implements the task service.
pub(super) struct TaskServiceImpl {
    app: AppContext,
    gate: RequestGate,
    waiting_claims: WaitingClaims,
}

impl TaskServiceImpl {
    pub(super) fn new(app: AppContext, gate: RequestGate) -> Self {
        Self { app, gate, waiting_claims: WaitingClaims::default() }
    }

    /// Waits until the process has room for a call. Workers that wait for a task have their own limit.
    async fn begin_work(
        &self,
        principal: &Principal,
        priority: RequestPriority,
    ) -> Result<Option<RequestPermit<'_>>, Status> {
        self.gate.begin_work(&principal.rate_limit_subject, priority).await.map_err(queue_full_status)
    }
}

#[tonic::async_trait]
impl TaskService for TaskServiceImpl {
    async fn process_task(
        &self,
        request: Request<ProcessTaskRequest>,
    ) -> Result<Response<ProcessTaskResponse>, Status> {
        let principal = request_principal(&request)?;
        let ProcessTaskRequest { task_id, step, expected_version, idempotency_key } = request.into_inner();
        let step = step.ok_or_else(|| invalid_argument("step", "it is missing"))?;
        let key = if idempotency_key.is_empty() {
            None
        } else {
            let key = IdempotencyKey::try_from_client(&idempotency_key, &format!("ProcessTask {task_id} {step:?}"));
            Some(key.map_err(|reason| invalid_value_status("idempotency_key", &reason))?)
        };
        let preconditions =
            CommandPreconditions { idempotency_key: key, ..CommandPreconditions::with_version(expected_version) };
        let client_id = if task_id.is_empty() { None } else { Some(parse_task_id(&task_id)?) };
        let id = match (&step, client_id) {
            (Step::Request(_), client_id) => tenant_commands::new_id(&principal, "task", client_id, &preconditions),
            (_, Some(client_id)) => client_id,
            (_, None) => return Err(invalid_argument("task_id", "it is missing")),
        };
        let command = step_command(step)?;
        let _permit = self.begin_work(&principal, RequestPriority::Command).await?;
        let outcome =
            tenant_commands::dispatch::<Task>(&self.app, &principal, DataOwner::Company, &id, &preconditions, command)
                .await
                .map_err(|failure| failure_status(&failure))?;
        Ok(Response::new(ProcessTaskResponse {
            task_id: id.to_string(),
            version: outcome.version,
            repeated: outcome.repeated,
        }))
    }

    async fn get_task_status(&self, request: Request<GetTaskStatusRequest>) -> Result<Response<TaskView>, Status> {
        let principal = request_principal(&request)?;
        let tenant = tenant_commands::readable_task_tenant(&principal).map_err(|failure| failure_status(&failure))?;
        let id = parse_task_id(&request.get_ref().task_id)?.to_string();
        let _permit = self.begin_work(&principal, RequestPriority::Query).await?;
        let found = self
            .app
            .read_models
            .current()
            .tenant_views
            .get(tenant, &id)
            .await
            .map_err(|error| unavailable_status(&error))?;
        let found = found.and_then(|stored| conversion::task_to_proto(id, stored));
        found.map(Response::new).ok_or_else(|| Status::not_found("there is no such task"))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let principal = request_principal(&request)?;
        let tenant = tenant_commands::readable_task_tenant(&principal).map_err(|failure| failure_status(&failure))?;
        let ListTasksRequest { status, page_size, page_token } = request.into_inner();
        let status = TaskStatus::try_from(status).map_err(|_| invalid_argument("status", "there is no such status"))?;
        // Protocol Buffers transmit an omitted number as 0.
        let page_size = (page_size != 0).then_some(page_size);
        let first = check_page_size(page_size, DEFAULT_PAGE_SIZE)
            .map_err(|error| invalid_argument("page_size", &error.to_string()))?;
        let after = if page_token.is_empty() { None } else { Some(page_token.parse::<ListCursor>()) };
        let after = after.transpose().map_err(|_| invalid_argument("page_token", "it is not a page token"))?;
        let group =
            conversion::status_from_proto(status).map_or_else(ListGroup::all, |status| ListGroup::named(status.name()));
        let _permit = self.begin_work(&principal, RequestPriority::Query).await?;
        let models = self.app.read_models.current();
        let page = models
            .tenant_views
            .list_aggregates(tenant, &group, first, after.as_ref())
            .await
            .map_err(|error| unavailable_status(&error))?;
        let entries = page
            .items
            .into_iter()
            .map(|(id, cursor, stored)| (cursor.to_string(), conversion::task_to_proto(id, stored)));
        let (tasks, cut_at) = fit_page(entries, MAX_PAGE_BYTES);
        let last = cut_at.filter(|(_, is_last)| !is_last || page.has_more).map(|(cursor, _)| cursor);
        Ok(Response::new(ListTasksResponse {
            tasks,
            next_page_token: last.unwrap_or_default(),
            total_size: page.total,
        }))
    }

    async fn claim_task(&self, request: Request<ClaimTaskRequest>) -> Result<Response<ClaimTaskResponse>, Status> {
        let principal = request_principal(&request)?;
        tenant_commands::require_task_scope(&principal).map_err(|failure| failure_status(&failure))?;
        let call_deadline = request.extensions().get::<CallDeadline>().map(|deadline| deadline.0);
        let request = request.into_inner();
        let claim = claim_request(principal.tenant(), &request)?;
        if request.wait_seconds > MAX_CLAIM_WAIT_S {
            return Err(invalid_argument("wait_seconds", &format!("it has to be at most {MAX_CLAIM_WAIT_S}")));
        }
        let wait_until = Instant::now() + Duration::from_secs(request.wait_seconds.into());
        // The answer has to arrive before the call ends.
        let answer_at = call_deadline.and_then(|deadline| deadline.checked_sub(ANSWER_TIME));
        let wait_until = answer_at.map_or(wait_until, |answer_at| wait_until.min(answer_at));
        let Some(place) = self.waiting_claims.take_place(principal.tenant()) else {
            return Err(Status::resource_exhausted("too many workers of this company wait for tasks"));
        };
        let task = claims::claim_for_worker(self.app.clone(), principal, claim, wait_until, place).await?;
        Ok(Response::new(ClaimTaskResponse { task: task.map(conversion::claimed_task_to_proto) }))
    }

    async fn renew_claim(&self, request: Request<RenewClaimRequest>) -> Result<Response<RenewClaimResponse>, Status> {
        let principal = request_principal(&request)?;
        tenant_commands::require_task_scope(&principal).map_err(|failure| failure_status(&failure))?;
        let RenewClaimRequest { task_id, worker, lease_seconds } = request.into_inner();
        let (id, worker, lease) =
            (parse_task_id(&task_id)?.to_string(), parse_worker(&worker)?, parse_lease(lease_seconds)?);
        let _permit = self.begin_work(&principal, RequestPriority::Command).await?;
        let state = self.app.task_queue.renew_claim(principal.tenant(), &id, &worker, lease).await;
        let held = state.map_err(|error| unavailable_status(&error))? == ClaimState::Held;
        Ok(Response::new(RenewClaimResponse { held }))
    }
}

/// The tasks to claim, for a worker of this tenant.
fn claim_request(tenant: &TenantId, request: &ClaimTaskRequest) -> Result<ClaimRequest, Status> {
    let kind = |kind: &i32| TaskKind::try_from(*kind).ok().and_then(conversion::kind_from_proto);
    let kinds: Option<Vec<_>> = request.kinds.iter().map(kind).collect();
    let kinds = kinds.filter(|kinds| !kinds.is_empty());
    Ok(ClaimRequest {
        tenant_id: Some(tenant.clone()),
        kinds: kinds
            .ok_or_else(|| invalid_argument("kinds", "at least one kind is needed, and each has to be known"))?,
        worker: parse_worker(&request.worker)?,
        lease: parse_lease(request.lease_seconds)?,
    })
}

fn parse_worker(name: &str) -> Result<WorkerName, Status> {
    WorkerName::try_new(name).map_err(|reason| invalid_value_status("worker", &reason))
}

/// The duration of a claim. Protocol Buffers transmit an omitted number as 0.
fn parse_lease(seconds: u32) -> Result<Duration, Status> {
    match seconds {
        0 => Ok(DEFAULT_LEASE),
        5..=600 => Ok(Duration::from_secs(seconds.into())),
        _ => Err(invalid_argument("lease_seconds", "it has to be between 5 and 600")),
    }
}

/// Returns the entries that fit into `max_bytes` bytes, but at least one, so that every page makes progress; and the
/// cursor of the last of them, with whether it is the last of all entries.
fn fit_page(
    entries: impl Iterator<Item = (String, Option<TaskView>)>,
    max_bytes: usize,
) -> (Vec<TaskView>, Option<(String, bool)>) {
    let (mut tasks, mut bytes, mut last) = (vec![], 0, None);
    for (cursor, task) in entries {
        if let Some(task) = task {
            // Each entry is preceded by a key and a length.
            bytes += task.encoded_len() + 8;
            if bytes > max_bytes && !tasks.is_empty() {
                return (tasks, last.map(|cursor| (cursor, false)));
            }
            tasks.push(task);
        }
        last = Some(cursor);
    }
    (tasks, last.map(|cursor| (cursor, true)))
}

/// The command of a step, to be completed with the audit stamp.
fn step_command(step: Step) -> Result<Box<dyn FnOnce(AuditStamp) -> TaskCommand + Send>, Status> {
    let worker = |name: &str| WorkerName::try_new(name).map_err(|reason| invalid_value_status("worker", &reason));
    let note = |field: &str, text: &str| TaskNote::try_new(text).map_err(|reason| invalid_value_status(field, &reason));
    Ok(match step {
        Step::Request(request) => {
            let spec = conversion::spec_from_proto(&request)?;
            check_requested_task(&spec)
                .map_err(|refusal| invalid_argument("request.parameters", &refusal.to_string()))?;
            Box::new(|stamp| TaskCommand::Request { spec, stamp })
        }
        Step::Start(start) => {
            let worker = worker(&start.worker)?;
            Box::new(|stamp| TaskCommand::Start { worker, stamp })
        }
        Step::Report(report) => {
            let (worker, percent) = (worker(&report.worker)?, ProgressPercent::try_new(report.percent));
            let percent = percent.map_err(|reason| invalid_value_status("report.percent", &reason))?;
            let report_note = if report.note.is_empty() { None } else { Some(note("report.note", &report.note)?) };
            Box::new(move |stamp| TaskCommand::Report { worker, percent, note: report_note, stamp })
        }
        Step::Complete(complete) => {
            let (worker, result) = (worker(&complete.worker)?, TaskResult::try_new(&complete.result));
            let result = result.map_err(|reason| invalid_value_status("complete.result", &reason))?;
            Box::new(|stamp| TaskCommand::Complete { worker, result, stamp })
        }
        Step::Fail(fail) => {
            let (worker, reason) = (worker(&fail.worker)?, note("fail.reason", &fail.reason)?);
            let retry = if fail.retry { RetryDecision::Later } else { RetryDecision::Never };
            Box::new(move |stamp| TaskCommand::Fail { worker, reason, retry, stamp })
        }
        Step::Cancel(cancel) => {
            let reason = note("cancel.reason", &cancel.reason)?;
            Box::new(|stamp| TaskCommand::Cancel { reason, stamp })
        }
    })
}

/// The principal that `admission` attached to the call.
fn request_principal<T>(request: &Request<T>) -> Result<Principal, Status> {
    request.extensions().get::<Principal>().cloned().ok_or_else(|| {
        tracing::error!("call without a principal: it did not pass admission");
        Status::internal("internal error")
    })
}

fn parse_task_id(text: &str) -> Result<Uuid, Status> {
    Uuid::parse_str(text).map_err(|_| invalid_argument("task_id", "it is not a UUID"))
}

pub(super) fn unavailable_status(error: &(dyn std::error::Error + 'static)) -> Status {
    failure_status(&CommandFailure::unavailable(error))
}

/// The gRPC status of a call that the process has no room for.
fn queue_full_status(full: QueueFull) -> Status {
    let mut status = Status::unavailable(full.to_string());
    status.metadata_mut().insert("retry-after", MetadataValue::from(full.retry_after_s));
    status
}

/// The gRPC status of a failed command.
pub(super) fn failure_status(failure: &CommandFailure) -> Status {
    match failure {
        CommandFailure::Rejected { is_missing: true, reason, .. } => Status::not_found(reason),
        CommandFailure::Rejected { rule, reason, .. } => Status::failed_precondition(format!("{rule}: {reason}")),
        CommandFailure::Unauthenticated => Status::unauthenticated(failure.to_string()),
        CommandFailure::Forbidden => Status::permission_denied(failure.to_string()),
        CommandFailure::Outdated { .. } | CommandFailure::Conflict => Status::aborted(failure.to_string()),
        CommandFailure::KeyReused => Status::already_exists(failure.to_string()),
        CommandFailure::Unavailable => Status::unavailable(failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_before_it_is_too_long_and_returns_the_cursor() {
        let task = |bytes: usize| Some(TaskView { result: "x".repeat(bytes), ..TaskView::default() });
        let page = |sizes: &[Option<usize>]| {
            let entries = sizes.iter().enumerate().map(|(n, size)| (n.to_string(), size.and_then(task)));
            let (tasks, last) = fit_page(entries.collect::<Vec<_>>().into_iter(), 1_000);
            (tasks.len(), last)
        };
        assert_eq!(page(&[]), (0, None));
        assert_eq!(page(&[Some(300), None, Some(300)]), (2, Some(("2".to_owned(), true))));
        assert_eq!(page(&[Some(600), None, Some(600)]), (1, Some(("1".to_owned(), false))));
        assert_eq!(page(&[Some(5_000), Some(1)]), (1, Some(("0".to_owned(), false))), "a page has at least one entry");
    }
}
