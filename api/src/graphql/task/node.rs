//! What a frontend sees of a task.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};
use domain::task as record;
use projections::tenant_views::StoredAggregate;

/// What kind of work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "TaskKind", remote = "record::TaskKind")]
pub(super) enum TaskKindEnum {
    /// Read the text of a document.
    ExtractText,
    /// Find what a document asks for.
    ExtractRequirements,
    /// Sum a document up.
    AnalyseDocument,
    /// Draft a proposal.
    GenerateProposal,
    /// Make a resource findable.
    IndexResource,
    /// Tell a user what is new.
    SendDigest,
}

/// What kind of thing is worked on.
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

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "TaskStatus", remote = "record::TaskStatus")]
pub(super) enum TaskStatusEnum {
    /// Nobody has asked for it.
    Unrequested,
    /// It waits for a worker.
    Requested,
    /// A worker is at it.
    Started,
    /// It is done.
    Completed,
    /// It cannot be done.
    Failed,
    /// Nobody wants it any more.
    Cancelled,
}

/// Work on something.
#[derive(SimpleObject)]
#[graphql(name = "Task")]
pub(super) struct TaskNode {
    /// Its id.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// How far it is.
    status: TaskStatusEnum,
    /// What kind of work it is.
    kind: TaskKindEnum,
    /// What kind of thing is worked on.
    subject_kind: TaskSubjectKindEnum,
    /// The id of what is worked on.
    subject_id: String,
    /// What the worker is told besides.
    parameters: Vec<TaskParameterNode>,
    /// How often a worker has failed at it.
    failures: u32,
    /// Who is at it.
    worker: Option<String>,
    /// How much is done, 0 to 100, while a worker is at it.
    percent: Option<i32>,
    /// What came of it.
    result: Option<String>,
    /// Why it cannot be done.
    failure: Option<String>,
    /// When it was asked for.
    created_at: DateTime<Utc>,
    /// Who asked for it.
    created_by: String,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
}

/// Something that a worker is told.
#[derive(SimpleObject)]
#[graphql(name = "TaskParameter")]
struct TaskParameterNode {
    /// What it is called.
    name: String,
    /// What it says.
    value: String,
}

impl TaskNode {
    /// The view of a task that was asked for.
    pub(super) fn from_stored(id: String, kept: StoredAggregate<record::Task>) -> Option<Self> {
        let job = kept.state.spec()?.clone();
        let (mut worker, mut percent, mut result, mut failure) = (None, None, None, None);
        match &kept.state {
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
            version: kept.version,
            status: kept.state.status().into(),
            kind: job.kind.into(),
            subject_kind: job.subject.kind.into(),
            subject_id: job.subject.id.to_string(),
            parameters: job.parameters.iter().map(parameter).collect(),
            failures: kept.state.failure_count(),
            worker,
            percent,
            result,
            failure,
            created_at: kept.created_at,
            created_by: kept.created_by,
            updated_at: kept.updated_at,
        })
    }
}
