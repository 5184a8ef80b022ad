//! The task as clients request it, and as they see it.

use async_graphql::{Enum, InputObject, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::task::{self as record, ParameterList, TaskSpec, TaskSubject};
use projections::tenant_views::StoredAggregate;
use uuid::Uuid;

use crate::graphql::{error, tenant_node::TenantNode};

/// Kind of task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "TaskKind", remote = "record::TaskKind")]
pub(super) enum TaskKindEnum {
    /// Extract the text of a document.
    ExtractText,
    /// Find the requirements of a document.
    ExtractRequirements,
    /// Summarize a document.
    AnalyseDocument,
    /// Draft a proposal.
    GenerateProposal,
    /// Index a resource for search.
    IndexResource,
    /// Send a user a digest of what is new.
    SendDigest,
}

/// Kind of a task's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "TaskSubjectKind", remote = "record::SubjectKind")]
pub(super) enum TaskSubjectKindEnum {
    /// A document.
    Document,
    /// A resource.
    Resource,
    /// A proposal.
    Proposal,
    /// An opportunity.
    Opportunity,
}

/// Status of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "TaskStatus", remote = "record::TaskStatus")]
pub(super) enum TaskStatusEnum {
    /// Not requested yet.
    Unrequested,
    /// Waiting for a worker.
    Requested,
    /// A worker is processing it.
    Started,
    /// Completed.
    Completed,
    /// Failed permanently.
    Failed,
    /// Cancelled.
    Cancelled,
}

/// A task to request.
#[derive(InputObject)]
pub(super) struct RequestTaskInput {
    /// Id, a UUID that you choose; generated if omitted.
    pub(super) id: Option<Uuid>,
    /// Kind of task.
    kind: TaskKindEnum,
    /// Kind of the subject to work on.
    subject_kind: TaskSubjectKindEnum,
    /// Id of the subject to work on, at most 200 characters.
    subject_id: String,
    /// Parameters for the worker, at most 20.
    #[graphql(default)]
    parameters: Vec<TaskParameterInput>,
}

/// A parameter for the worker.
#[derive(InputObject)]
struct TaskParameterInput {
    /// Name: lower-case letters, digits and underscores, at most 50 characters.
    name: String,
    /// Value, at most 500 characters.
    value: String,
}

impl RequestTaskInput {
    pub(super) fn parse_spec(&self) -> Result<TaskSpec> {
        let subject = TaskSubject::try_new(self.subject_kind.into(), &self.subject_id);
        let subject = subject.map_err(|reason| error::invalid_value("input.subjectId", &reason))?;
        let pairs = self.parameters.iter().map(|parameter| (parameter.name.as_str(), parameter.value.as_str()));
        let parameters =
            ParameterList::try_new(pairs).map_err(|reason| error::invalid_value("input.parameters", &reason))?;
        Ok(TaskSpec { kind: self.kind.into(), subject, parameters })
    }
}

/// Work on a subject, done by a worker.
#[derive(SimpleObject)]
#[graphql(name = "Task")]
pub(super) struct TaskNode {
    /// Id.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Status.
    status: TaskStatusEnum,
    /// Kind of task.
    kind: TaskKindEnum,
    /// Kind of a task's subject.
    subject_kind: TaskSubjectKindEnum,
    /// Id of the subject.
    subject_id: String,
    /// Parameters for the worker.
    parameters: Vec<TaskParameterNode>,
    /// Number of failed attempts.
    failures: u32,
    /// The worker that is processing it.
    worker: Option<String>,
    /// Progress in percent, 0 to 100, while a worker is processing it.
    percent: Option<i32>,
    /// Result of a completed task.
    result: Option<String>,
    /// Why it failed permanently.
    failure: Option<String>,
    /// When it was requested.
    created_at: DateTime<Utc>,
    /// Who requested it.
    created_by: String,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
}

/// A parameter for the worker.
#[derive(SimpleObject)]
#[graphql(name = "TaskParameter")]
struct TaskParameterNode {
    /// Name.
    name: String,
    /// Value.
    value: String,
}

impl TenantNode for TaskNode {
    type Aggregate = record::Task;

    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self> {
        let spec = stored.state.spec()?.clone();
        let (mut worker, mut percent, mut result, mut failure) = (None, None, None, None);
        match &stored.state {
            record::Task::Started { worker: busy, percent: done, .. } => {
                worker = Some(busy.to_string());
                percent = Some(i32::from(done.number()));
            }
            record::Task::Completed { result: outcome, .. } => result = Some(outcome.to_string()),
            record::Task::Failed { reason, .. } => failure = Some(reason.to_string()),
            record::Task::Unrequested | record::Task::Requested { .. } | record::Task::Cancelled { .. } => {}
        }
        let parameter = |parameter: &record::NamedParameter| TaskParameterNode {
            name: parameter.name.to_string(),
            value: parameter.value.to_string(),
        };
        Some(Self {
            id,
            version: stored.version,
            status: stored.state.status().into(),
            kind: spec.kind.into(),
            subject_kind: spec.subject.kind.into(),
            subject_id: spec.subject.id.to_string(),
            parameters: spec.parameters.iter().map(parameter).collect(),
            failures: stored.state.failure_count(),
            worker,
            percent,
            result,
            failure,
            created_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
        })
    }
}
