//! The document of a task: its state, and the command that records the result of a stage.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    company::Company,
    document::{Document, DocumentCommand, DocumentError, UploadedDocument},
    error_chain::format_error_chain,
    event_store::AggregateStores,
    task::TaskResult,
    value::{AuditStamp, UserId},
};
use objects::ObjectOwner;
use task_workers::{ClaimedTask, TaskFailure};
use uuid::Uuid;

/// The user id that results are recorded under.
const USER_ID: &str = "system:document-worker";

/// Reads and changes the documents of tasks.
pub(super) struct DocumentRecord<S> {
    dispatcher: Arc<CommandDispatcher<S>>,
}

impl<S> Clone for DocumentRecord<S> {
    fn clone(&self) -> Self {
        Self { dispatcher: Arc::clone(&self.dispatcher) }
    }
}

impl<S: AggregateStores> DocumentRecord<S> {
    pub(super) fn new(dispatcher: Arc<CommandDispatcher<S>>) -> Self {
        Self { dispatcher }
    }

    /// The current time, by the clock that stamps commands.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.dispatcher.now()
    }

    /// The document in its present state; `None` if it was deleted.
    ///
    /// # Errors
    /// [`TaskFailure`] when it was never uploaded, or the event store does not answer.
    pub(super) async fn load(&self, task: &ClaimedTask) -> Result<Option<UploadedDocument>, TaskFailure> {
        let loaded = self.dispatcher.load_aggregate::<Document>(&task.tenant_id, task.spec.subject.id.as_str()).await;
        match loaded {
            Ok(loaded) => match loaded.state {
                Document::Present(document) => Ok(Some(*document)),
                Document::Deleted => Ok(None),
                Document::Missing => Err(TaskFailure::never("there is no such document")),
            },
            Err(error) => {
                tracing::warn!(
                    task.id = task.task_id,
                    reason = format_error_chain(&error),
                    "loading the document of a task failed"
                );
                Err(TaskFailure::later("the event store does not answer"))
            }
        }
    }

    /// The company of the task in its present state.
    ///
    /// # Errors
    /// [`TaskFailure`] when the event store does not answer.
    pub(super) async fn load_company(&self, task: &ClaimedTask) -> Result<Company, TaskFailure> {
        let loaded = self.dispatcher.load_aggregate::<Company>(&task.tenant_id, task.tenant_id.as_str()).await;
        loaded.map(|loaded| loaded.state).map_err(|error| {
            tracing::warn!(
                task.id = task.task_id,
                reason = format_error_chain(&error),
                "loading the company of a task failed"
            );
            TaskFailure::later("the event store does not answer")
        })
    }

    /// Records the result of the task's stage with the command that `build` makes. Records nothing if an earlier attempt
    /// has recorded one, or if the document was deleted meanwhile.
    ///
    /// # Errors
    /// [`TaskFailure`] when the document's state forbids it, or the event store does not answer.
    pub(super) async fn record(
        &self,
        task: &ClaimedTask,
        build: impl FnOnce(AuditStamp) -> DocumentCommand,
    ) -> Result<(), TaskFailure> {
        let caller = Caller {
            user_id: UserId::from_program(USER_ID),
            tenant_id: task.tenant_id.clone(),
            correlation_id: task.correlation_id,
            causation_id: Some(task.request_event_id),
        };
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        // All attempts at the task are one request, even if their outcomes differ.
        let request = format!("result of {} for {}", task.spec.kind.name(), task.spec.subject.id.as_str());
        let key = IdempotencyKey::try_new(&format!("task-result:{}", task.task_id), &request);
        let key = key.map_err(|error| TaskFailure::never(&format!("the id of the task is invalid: {error}")))?;
        let conditions = CommandPreconditions { idempotency_key: Some(key), ..CommandPreconditions::default() };
        let command = build(self.dispatcher.stamp(&sender));
        let id = task.spec.subject.id.as_str();
        let outcome = self.dispatcher.dispatch::<Document>(&sender, id, &conditions, command).await;
        outcome.map_or_else(|error| settle_refusal(task, &error), |_| Ok(()))
    }
}

/// What an undone command means for the task: done if its result is recorded already or not needed any more.
fn settle_refusal(task: &ClaimedTask, error: &CommandError<DocumentError>) -> Result<(), TaskFailure> {
    match error {
        CommandError::Refused(DocumentError::AlreadyDone { .. } | DocumentError::Deleted) => Ok(()),
        CommandError::Refused(
            reason @ (DocumentError::NotUploaded | DocumentError::AlreadyUploaded | DocumentError::OutOfOrder { .. }),
        ) => Err(TaskFailure::never(&reason.to_string())),
        // All attempts at the task are the same request, so another sender has used the key.
        CommandError::KeyReused => {
            tracing::warn!(
                task.id = task.task_id,
                "result not recorded: its idempotency key was used by another command"
            );
            Err(TaskFailure::never("the result cannot be recorded: another command has used its idempotency key"))
        }
        CommandError::Conflict
        | CommandError::Store(_)
        | CommandError::Outdated { .. }
        | CommandError::Forbidden { .. } => {
            tracing::warn!(task.id = task.task_id, reason = format_error_chain(error), "result not recorded");
            Err(TaskFailure::later("the event store does not answer"))
        }
    }
}

/// The owner of the files of a task's document.
///
/// # Errors
/// [`TaskFailure`] when the document's id is none of an uploaded file.
pub(super) fn object_owner(task: &ClaimedTask) -> Result<ObjectOwner, TaskFailure> {
    let document = Uuid::try_parse(task.spec.subject.id.as_str())
        .map_err(|_| TaskFailure::never("the id of the document is no UUID, so it has no file"))?;
    Ok(ObjectOwner { tenant: task.tenant_id.clone(), document })
}

/// The result of a task in words.
///
/// # Errors
/// [`TaskFailure`] never: the texts of handlers are short and not empty.
pub(super) fn task_result(text: &str) -> Result<TaskResult, TaskFailure> {
    TaskResult::try_new(text).map_err(|error| TaskFailure::never(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use domain::{
        document::ProcessingStage,
        task::{RetryDecision, SubjectKind, TaskKind, TaskSpec, TaskSubject},
        value::TenantId,
    };

    use super::*;

    #[test]
    fn a_result_is_recorded_already_or_the_task_fails() {
        let subject = TaskSubject::try_new(SubjectKind::Document, &Uuid::nil().to_string()).unwrap();
        let task = ClaimedTask {
            tenant_id: TenantId::try_new("acme").unwrap(),
            task_id: "1".to_owned(),
            spec: TaskSpec::new(TaskKind::AnalyseDocument, subject),
            failures: 0,
            version: 1,
            previous_worker: None,
            correlation_id: Uuid::nil(),
            request_event_id: Uuid::nil(),
            trace: None,
        };
        let retry = |error| settle_refusal(&task, &error).err().map(|failure| failure.retry);
        let done = DocumentError::AlreadyDone { stage: ProcessingStage::Analysis };
        assert_eq!(retry(CommandError::Refused(done)), None);
        assert_eq!(retry(CommandError::Refused(DocumentError::Deleted)), None);
        assert_eq!(retry(CommandError::Refused(DocumentError::NotUploaded)), Some(RetryDecision::Never));
        assert_eq!(retry(CommandError::KeyReused), Some(RetryDecision::Never));
        assert_eq!(retry(CommandError::Conflict), Some(RetryDecision::Later));
    }
}
