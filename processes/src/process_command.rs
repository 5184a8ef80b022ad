//! The commands that processes send.

use commands::{
    authorization::CallerAuthority,
    caller::Caller,
    dispatcher::CommandSender,
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
    stream_dispatcher::StreamDispatcher,
};
use cqrs_es::Aggregate;
use domain::{
    document::{Document, DocumentCommand, FailureReason, ProcessingStage},
    event_store::AggregateStores,
    inbox::{Inbox, InboxCommand, Notification},
    proposal_generation::{GenerationId, GenerationReason, ProposalGeneration, ProposalGenerationCommand},
    task::{Task, TaskCommand, TaskNote, TaskSpec},
    value::{TenantId, UserId},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A command of a process to an aggregate of its tenant. Stored as JSON until it is sent: add variants, never rename or
/// remove one while commands are pending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ProcessCommand {
    /// Requests a task, whose events then belong to the instance.
    RequestTask {
        /// The task's id.
        task_id: Uuid,
        /// The work to do.
        #[serde(rename = "job")]
        spec: TaskSpec,
    },
    /// Cancels a task.
    CancelTask {
        /// The task's id.
        task_id: Uuid,
        /// Why it is cancelled.
        reason: TaskNote,
    },
    /// Records that a processing stage of a document failed.
    RecordDocumentFailure {
        /// The document's id.
        document_id: String,
        /// The stage.
        stage: ProcessingStage,
        /// Why it failed.
        reason: FailureReason,
    },
    /// Ends a generation of a proposal without success.
    FailGeneration {
        /// The generation's id.
        generation_id: GenerationId,
        /// Why it failed.
        reason: GenerationReason,
    },
    /// Cancels a generation of a proposal.
    CancelGeneration {
        /// The generation's id.
        generation_id: GenerationId,
        /// Why it is cancelled.
        reason: GenerationReason,
    },
    /// Notifies a user.
    NotifyUser {
        /// The user.
        user: UserId,
        /// The notification.
        notification: Notification,
    },
}

/// The outcome of sending a command, other than success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// A rule of the domain refused it, or its idempotency key was used for another command. Sending it again is of no
    /// use.
    #[error("{0}")]
    Refused(String),
    /// Others kept changing the aggregate. Sent again soon.
    #[error("others keep changing the aggregate")]
    Conflict,
    /// The log is unavailable. Sent again later.
    #[error("executing the command of a process")]
    Retryable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ProcessCommand {
    /// The stream whose later events belong to the instance that sends this command: aggregate type and stream.
    pub(crate) fn followed_stream(&self, tenant: &TenantId) -> Option<(&'static str, String)> {
        match self {
            Self::RequestTask { .. } => {
                let (aggregate_type, id) = self.target();
                Some((aggregate_type, if *tenant == TenantId::public() { id } else { tenant.stream_id(id) }))
            }
            Self::CancelTask { .. }
            | Self::RecordDocumentFailure { .. }
            | Self::FailGeneration { .. }
            | Self::CancelGeneration { .. }
            | Self::NotifyUser { .. } => None,
        }
    }

    /// The stream that the command changes: aggregate type, and id within the tenant.
    pub(crate) fn target(&self) -> (&'static str, String) {
        match self {
            Self::RequestTask { task_id, .. } | Self::CancelTask { task_id, .. } => (Task::TYPE, task_id.to_string()),
            Self::RecordDocumentFailure { document_id, .. } => (Document::TYPE, document_id.clone()),
            Self::FailGeneration { generation_id, .. } | Self::CancelGeneration { generation_id, .. } => {
                (ProposalGeneration::TYPE, generation_id.to_string())
            }
            Self::NotifyUser { user, .. } => (Inbox::TYPE, user.as_str().to_owned()),
        }
    }

    /// Executes the command on behalf of this program.
    pub(crate) async fn send<S: AggregateStores>(
        self,
        dispatcher: &mut StreamDispatcher<'_, S>,
        caller: Caller,
        key: IdempotencyKey,
    ) -> Result<(), SendError> {
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        let conditions = CommandPreconditions { expected_versions: None, idempotency_key: Some(key) };
        let stamp = dispatcher.stamp(&sender);
        match self {
            Self::RequestTask { task_id, spec } => {
                let command = TaskCommand::Request { spec, stamp };
                classify(dispatcher.dispatch::<Task>(&sender, &task_id.to_string(), &conditions, command).await)
            }
            Self::CancelTask { task_id, reason } => {
                let command = TaskCommand::Cancel { reason, stamp };
                classify(dispatcher.dispatch::<Task>(&sender, &task_id.to_string(), &conditions, command).await)
            }
            Self::RecordDocumentFailure { document_id, stage, reason } => {
                let command = DocumentCommand::RecordFailure { stage, reason, stamp };
                classify(dispatcher.dispatch::<Document>(&sender, &document_id, &conditions, command).await)
            }
            Self::FailGeneration { generation_id, reason } => {
                let (id, command) = (generation_id.to_string(), ProposalGenerationCommand::Fail { reason, stamp });
                classify(dispatcher.dispatch::<ProposalGeneration>(&sender, &id, &conditions, command).await)
            }
            Self::CancelGeneration { generation_id, reason } => {
                let (id, command) = (generation_id.to_string(), ProposalGenerationCommand::Cancel { reason, stamp });
                classify(dispatcher.dispatch::<ProposalGeneration>(&sender, &id, &conditions, command).await)
            }
            Self::NotifyUser { user, notification } => {
                let command = InboxCommand::Notify { notification, stamp };
                classify(dispatcher.dispatch::<Inbox>(&sender, user.as_str(), &conditions, command).await)
            }
        }
    }
}

fn classify<T, E>(result: Result<T, CommandError<E>>) -> Result<(), SendError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match result {
        Ok(_) => Ok(()),
        Err(CommandError::Refused(reason)) => Err(SendError::Refused(reason.to_string())),
        // Sent again, it would meet the same key.
        Err(error @ CommandError::KeyReused) => Err(SendError::Refused(error.to_string())),
        Err(CommandError::Conflict) => Err(SendError::Conflict),
        Err(error) => Err(SendError::Retryable(Box::new(error))),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_command_whose_key_was_used_for_another_is_not_sent_again() {
        let outcome = classify::<(), Infallible>(Err(CommandError::KeyReused));
        assert!(matches!(outcome, Err(SendError::Refused(_))), "{outcome:?}");
        let outcome = classify::<(), Infallible>(Err(CommandError::Outdated { current: 2 }));
        assert!(matches!(outcome, Err(SendError::Retryable(_))), "{outcome:?}");
    }
}
