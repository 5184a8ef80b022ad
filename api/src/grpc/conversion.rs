//! Conversion of tasks to and from their gRPC messages.

use domain::task::{self as record, ParameterList, SubjectKind, TaskKind, TaskSpec, TaskStatus, TaskSubject};
use projections::tenant_views::StoredAggregate;
use task_workers::ClaimedTask;
use tonic::Status;

use super::{
    argument_error::{invalid_argument, invalid_value_status},
    pb,
};

fn to_timestamp(time: chrono::DateTime<chrono::Utc>) -> prost_types::Timestamp {
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    prost_types::Timestamp { seconds: time.timestamp(), nanos }
}

pub(super) fn kind_from_proto(kind: pb::TaskKind) -> Option<TaskKind> {
    match kind {
        pb::TaskKind::Unspecified => None,
        pb::TaskKind::ExtractText => Some(TaskKind::ExtractText),
        pb::TaskKind::ExtractRequirements => Some(TaskKind::ExtractRequirements),
        pb::TaskKind::AnalyseDocument => Some(TaskKind::AnalyseDocument),
        pb::TaskKind::GenerateProposal => Some(TaskKind::GenerateProposal),
        pb::TaskKind::IndexResource => Some(TaskKind::IndexResource),
        pb::TaskKind::SendDigest => Some(TaskKind::SendDigest),
    }
}

fn kind_to_proto(kind: TaskKind) -> pb::TaskKind {
    match kind {
        TaskKind::ExtractText => pb::TaskKind::ExtractText,
        TaskKind::ExtractRequirements => pb::TaskKind::ExtractRequirements,
        TaskKind::AnalyseDocument => pb::TaskKind::AnalyseDocument,
        TaskKind::GenerateProposal => pb::TaskKind::GenerateProposal,
        TaskKind::IndexResource => pb::TaskKind::IndexResource,
        TaskKind::SendDigest => pb::TaskKind::SendDigest,
    }
}

fn subject_kind_from_proto(kind: pb::SubjectKind) -> Option<SubjectKind> {
    match kind {
        pb::SubjectKind::Unspecified => None,
        pb::SubjectKind::Document => Some(SubjectKind::Document),
        pb::SubjectKind::Resource => Some(SubjectKind::Resource),
        pb::SubjectKind::Proposal => Some(SubjectKind::Proposal),
        pb::SubjectKind::Opportunity => Some(SubjectKind::Opportunity),
    }
}

fn subject_kind_to_proto(kind: SubjectKind) -> pb::SubjectKind {
    match kind {
        SubjectKind::Document => pb::SubjectKind::Document,
        SubjectKind::Resource => pb::SubjectKind::Resource,
        SubjectKind::Proposal => pb::SubjectKind::Proposal,
        SubjectKind::Opportunity => pb::SubjectKind::Opportunity,
    }
}

pub(super) fn status_from_proto(status: pb::TaskStatus) -> Option<TaskStatus> {
    match status {
        pb::TaskStatus::Unspecified => None,
        pb::TaskStatus::Requested => Some(TaskStatus::Requested),
        pb::TaskStatus::Started => Some(TaskStatus::Started),
        pb::TaskStatus::Completed => Some(TaskStatus::Completed),
        pb::TaskStatus::Failed => Some(TaskStatus::Failed),
        pb::TaskStatus::Cancelled => Some(TaskStatus::Cancelled),
    }
}

fn status_to_proto(status: TaskStatus) -> pb::TaskStatus {
    match status {
        TaskStatus::Unrequested => pb::TaskStatus::Unspecified,
        TaskStatus::Requested => pb::TaskStatus::Requested,
        TaskStatus::Started => pb::TaskStatus::Started,
        TaskStatus::Completed => pb::TaskStatus::Completed,
        TaskStatus::Failed => pb::TaskStatus::Failed,
        TaskStatus::Cancelled => pb::TaskStatus::Cancelled,
    }
}

/// The task that a message requests.
pub(super) fn spec_from_proto(request: &pb::RequestTask) -> Result<TaskSpec, Status> {
    let kind = pb::TaskKind::try_from(request.kind).ok().and_then(kind_from_proto);
    let kind = kind.ok_or_else(|| invalid_argument("request.kind", "it is missing or unknown"))?;
    let subject_kind = pb::SubjectKind::try_from(request.subject_kind).ok().and_then(subject_kind_from_proto);
    let subject_kind =
        subject_kind.ok_or_else(|| invalid_argument("request.subject_kind", "it is missing or unknown"))?;
    let subject = TaskSubject::try_new(subject_kind, &request.subject_id);
    let subject = subject.map_err(|reason| invalid_value_status("request.subject_id", &reason))?;
    let entries = request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let parameters =
        ParameterList::try_new(entries).map_err(|reason| invalid_value_status("request.parameters", &reason))?;
    Ok(TaskSpec { kind, subject, parameters })
}

/// The message of a claimed task.
pub(super) fn claimed_task_to_proto(task: ClaimedTask) -> pb::ClaimedTask {
    let parameter = |parameter: &record::NamedParameter| (parameter.name.to_string(), parameter.value.to_string());
    pb::ClaimedTask {
        kind: kind_to_proto(task.spec.kind).into(),
        subject_kind: subject_kind_to_proto(task.spec.subject.kind).into(),
        subject_id: task.spec.subject.id.to_string(),
        parameters: task.spec.parameters.iter().map(parameter).collect(),
        // The attempt of a worker that died counts.
        failures: task.failures + u32::from(task.previous_worker.is_some()),
        correlation_id: task.correlation_id.to_string(),
        request_event_id: task.request_event_id.to_string(),
        task_id: task.task_id,
    }
}

/// The message of a task; `None` for one that was never requested.
pub(super) fn task_to_proto(task_id: String, stored: StoredAggregate<record::Task>) -> Option<pb::Task> {
    let spec = stored.state.spec()?.clone();
    let mut view = pb::Task {
        task_id,
        version: stored.version,
        status: status_to_proto(stored.state.status()).into(),
        kind: kind_to_proto(spec.kind).into(),
        subject_kind: subject_kind_to_proto(spec.subject.kind).into(),
        subject_id: spec.subject.id.to_string(),
        parameters: spec
            .parameters
            .iter()
            .map(|parameter| (parameter.name.to_string(), parameter.value.to_string()))
            .collect(),
        failures: stored.state.failure_count(),
        created_at: Some(to_timestamp(stored.created_at)),
        created_by: stored.created_by,
        updated_at: Some(to_timestamp(stored.updated_at)),
        ..pb::Task::default()
    };
    match stored.state {
        record::Task::Started { worker, percent, .. } => {
            view.worker = worker.to_string();
            view.percent = u32::from(percent.number());
        }
        record::Task::Completed { result, .. } => {
            view.result = result.to_string();
            view.percent = 100;
        }
        record::Task::Failed { reason, .. } => view.failure = reason.to_string(),
        record::Task::Unrequested | record::Task::Requested { .. } | record::Task::Cancelled { .. } => {}
    }
    Some(view)
}
