//! The service of tasks.

use commands::condition::{Conditions, Once};
use domain::{
    task::{Job, Parameters, Percent, Retry, Subject, Task, TaskCommand, TaskNote, TaskResult, WorkerName},
    value::{InvalidValue, Stamp},
};
use projections::workspace::{Group, ListCursor};
use prost::Message as _;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    pb::{
        GetTaskStatusRequest, ListTasksRequest, ListTasksResponse, ProcessTaskRequest, ProcessTaskResponse,
        SubjectKind, Task as TaskView, TaskKind, TaskStatus, process_task_request::Step,
        task_service_server::TaskService,
    },
    view,
};
use crate::{
    identity::Identity,
    owned::{self, Undone},
    store::Stores,
};

/// Entries of a page where nothing is said.
const DEFAULT: u32 = 20;
/// Most entries of a page.
const MAX: u32 = 100;

/// Most bytes of the entries of a page: clients take messages of 4 MiB unless they are told otherwise.
const MAX_BYTES: usize = 3 * 1024 * 1024;

/// Answers what is asked about tasks.
pub(super) struct Tasks {
    stores: Stores,
}

impl Tasks {
    pub(super) fn new(stores: Stores) -> Self {
        Self { stores }
    }
}

#[tonic::async_trait]
impl TaskService for Tasks {
    async fn process_task(
        &self,
        request: Request<ProcessTaskRequest>,
    ) -> Result<Response<ProcessTaskResponse>, Status> {
        let identity = identity(&request)?;
        let ProcessTaskRequest { task_id, step, expected_version, idempotency_key } = request.into_inner();
        let step = step.ok_or_else(|| wrong("step", "say what is wanted or told"))?;
        let once = if idempotency_key.is_empty() {
            None
        } else {
            let once = Once::try_new(&idempotency_key, &format!("ProcessTask {task_id} {step:?}"));
            Some(once.map_err(|reason| invalid("idempotency_key", &reason))?)
        };
        let conditions = Conditions { once, ..Conditions::at_version(expected_version) };
        let named = if task_id.is_empty() { None } else { Some(id(&task_id)?) };
        let id = match (&step, named) {
            (Step::Request(_), named) => owned::new_id(&identity, "task", named, &conditions),
            (_, Some(named)) => named,
            (_, None) => return Err(wrong("task_id", "say which task")),
        };
        let command = command(step)?;
        let done = owned::give::<Task>(&self.stores, &identity, &id, &conditions, command)
            .await
            .map_err(|undone| status(&undone))?;
        Ok(Response::new(ProcessTaskResponse {
            task_id: id.to_string(),
            version: done.version,
            repeated: done.repeated,
        }))
    }

    async fn get_task_status(&self, request: Request<GetTaskStatusRequest>) -> Result<Response<TaskView>, Status> {
        let identity = identity(&request)?;
        let tenant = owned::task_reader(&identity).map_err(|undone| status(&undone))?;
        let id = id(&request.get_ref().task_id)?.to_string();
        let found = self.stores.live.now().workspace.get(tenant, &id).await.map_err(|error| away(&error))?;
        let found = found.and_then(|kept| view::task(id, kept));
        found.map(Response::new).ok_or_else(|| Status::not_found("there is no such task"))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let identity = identity(&request)?;
        let tenant = owned::task_reader(&identity).map_err(|undone| status(&undone))?;
        let ListTasksRequest { status, page_size, page_token } = request.into_inner();
        let status = TaskStatus::try_from(status).map_err(|_| wrong("status", "there is no such status"))?;
        let first = match page_size {
            0 => DEFAULT,
            1..=MAX => page_size,
            _ => return Err(wrong("page_size", &format!("it is not between 1 and {MAX}"))),
        };
        let after = if page_token.is_empty() { None } else { Some(page_token.parse::<ListCursor>()) };
        let after = after.transpose().map_err(|_| wrong("page_token", "it is none of ours"))?;
        let group = view::status(status).map_or_else(Group::all, |status| Group::status(status.name()));
        let models = self.stores.live.now();
        let page = models.workspace.list(tenant, &group, first, after.as_ref()).await.map_err(|error| away(&error))?;
        let entries = page.items.into_iter().map(|(id, cursor, kept)| (cursor.to_string(), view::task(id, kept)));
        let (tasks, cut_at) = fitting(entries, MAX_BYTES);
        let last = cut_at.filter(|(_, is_last)| !is_last || page.has_more).map(|(cursor, _)| cursor);
        Ok(Response::new(ListTasksResponse {
            tasks,
            next_page_token: last.unwrap_or_default(),
            total_size: page.total,
        }))
    }
}

/// As many entries as have no more than `max` bytes together, one at least, so that every page leads on; and the cursor of
/// the last of them, with whether none follows it.
fn fitting(
    entries: impl Iterator<Item = (String, Option<TaskView>)>,
    max: usize,
) -> (Vec<TaskView>, Option<(String, bool)>) {
    let (mut tasks, mut bytes, mut last) = (vec![], 0, None);
    for (cursor, task) in entries {
        if let Some(task) = task {
            // A key and a length stand before each entry.
            bytes += task.encoded_len() + 8;
            if bytes > max && !tasks.is_empty() {
                return (tasks, last.map(|cursor| (cursor, false)));
            }
            tasks.push(task);
        }
        last = Some(cursor);
    }
    (tasks, last.map(|cursor| (cursor, true)))
}

/// The command of a step, but for who gives it and when.
fn command(step: Step) -> Result<Box<dyn FnOnce(Stamp) -> TaskCommand + Send>, Status> {
    let worker = |name: &str| WorkerName::try_new(name).map_err(|reason| invalid("worker", &reason));
    let note = |field: &str, text: &str| TaskNote::try_new(text).map_err(|reason| invalid(field, &reason));
    Ok(match step {
        Step::Request(wanted) => {
            let kind = TaskKind::try_from(wanted.kind).ok().and_then(view::kind);
            let kind = kind.ok_or_else(|| wrong("request.kind", "say what kind of work it is"))?;
            let subject_kind = SubjectKind::try_from(wanted.subject_kind).ok().and_then(view::subject_kind);
            let subject_kind = subject_kind.ok_or_else(|| wrong("request.subject_kind", "say what is worked on"))?;
            let subject = Subject::try_new(subject_kind, &wanted.subject_id);
            let subject = subject.map_err(|reason| invalid("request.subject_id", &reason))?;
            let told = wanted.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let parameters = Parameters::try_new(told).map_err(|reason| invalid("request.parameters", &reason))?;
            let job = Job { kind, subject, parameters };
            Box::new(|stamp| TaskCommand::Request { job, stamp })
        }
        Step::Start(start) => {
            let worker = worker(&start.worker)?;
            Box::new(|stamp| TaskCommand::Start { worker, stamp })
        }
        Step::Report(report) => {
            let (worker, percent) = (worker(&report.worker)?, Percent::try_new(report.percent));
            let percent = percent.map_err(|reason| invalid("report.percent", &reason))?;
            let told = if report.note.is_empty() { None } else { Some(note("report.note", &report.note)?) };
            Box::new(move |stamp| TaskCommand::Report { worker, percent, note: told, stamp })
        }
        Step::Complete(complete) => {
            let (worker, result) = (worker(&complete.worker)?, TaskResult::try_new(&complete.result));
            let result = result.map_err(|reason| invalid("complete.result", &reason))?;
            Box::new(|stamp| TaskCommand::Complete { worker, result, stamp })
        }
        Step::Fail(fail) => {
            let (worker, reason) = (worker(&fail.worker)?, note("fail.reason", &fail.reason)?);
            let retry = if fail.retry { Retry::Later } else { Retry::Never };
            Box::new(move |stamp| TaskCommand::Fail { worker, reason, retry, stamp })
        }
        Step::Cancel(cancel) => {
            let reason = note("cancel.reason", &cancel.reason)?;
            Box::new(|stamp| TaskCommand::Cancel { reason, stamp })
        }
    })
}

/// Who asks, as the way in has found out.
fn identity<T>(request: &Request<T>) -> Result<Identity, Status> {
    request.extensions().get::<Identity>().cloned().ok_or_else(|| {
        tracing::error!("a call came in past the door");
        Status::internal("internal error")
    })
}

fn id(text: &str) -> Result<Uuid, Status> {
    Uuid::parse_str(text).map_err(|_| wrong("task_id", "it is no UUID"))
}

fn invalid(field: &str, reason: &InvalidValue) -> Status {
    wrong(field, &reason.to_string())
}

fn wrong(field: &str, reason: &str) -> Status {
    Status::invalid_argument(format!("{field}: {reason}"))
}

fn away(error: &(dyn std::error::Error + 'static)) -> Status {
    status(&Undone::unavailable(error))
}

/// What was not done, as gRPC tells it.
fn status(undone: &Undone) -> Status {
    match undone {
        Undone::Rejected { rule: "NOT_FOUND", reason } => Status::not_found(reason),
        Undone::Rejected { rule, reason } => Status::failed_precondition(format!("{rule}: {reason}")),
        Undone::Unauthenticated => Status::unauthenticated(undone.to_string()),
        Undone::Forbidden => Status::permission_denied(undone.to_string()),
        Undone::Outdated { .. } | Undone::Conflict => Status::aborted(undone.to_string()),
        Undone::KeyReused => Status::already_exists(undone.to_string()),
        Undone::Unavailable => Status::unavailable(undone.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_cut_where_it_would_be_too_long_and_goes_on_there() {
        let task = |bytes: usize| Some(TaskView { result: "x".repeat(bytes), ..TaskView::default() });
        let page = |sizes: &[Option<usize>]| {
            let entries = sizes.iter().enumerate().map(|(n, size)| (n.to_string(), size.and_then(task)));
            let (tasks, last) = fitting(entries.collect::<Vec<_>>().into_iter(), 1_000);
            (tasks.len(), last)
        };
        assert_eq!(page(&[]), (0, None));
        assert_eq!(page(&[Some(300), None, Some(300)]), (2, Some(("2".to_owned(), true))));
        assert_eq!(page(&[Some(600), None, Some(600)]), (1, Some(("1".to_owned(), false))));
        assert_eq!(page(&[Some(5_000), Some(1)]), (1, Some(("0".to_owned(), false))), "one at least");
    }
}
