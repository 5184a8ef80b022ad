//! The commands that processes send.

use commands::{
    authorization::{AuthorizedCommand, CallerAuthority},
    caller::Caller,
    command_batch::BatchedCommand,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
};
use cqrs_es::Aggregate;
use domain::{
    aggregate::PureAggregate,
    document::{Document, DocumentCommand, FailureReason, ProcessingStage},
    event_store::AggregateStores,
    fingerprint::Fingerprint,
    inbox::{Inbox, InboxCommand, Notification},
    proposal_generation::{GenerationId, GenerationReason, ProposalGeneration, ProposalGenerationCommand},
    task::{Task, TaskCommand, TaskNote, TaskSpec},
    value::{AuditStamp, TenantId, UserId},
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
    #[error("other writers keep changing the aggregate")]
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
}

/// A command that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreparedCommand {
    pub(crate) command: ProcessCommand,
    pub(crate) caller: Caller,
    pub(crate) key: IdempotencyKey,
}

impl PreparedCommand {
    /// Executes commands to one stream of one tenant on behalf of this program, in their order; returns the outcome of
    /// each.
    ///
    /// # Errors
    /// [`SendError::Conflict`] and [`SendError::Retryable`]; then none was executed.
    pub(crate) async fn send_all<S: AggregateStores>(
        commands: &[&Self],
        dispatcher: &CommandDispatcher<S>,
    ) -> Result<Vec<Result<(), SendError>>, SendError> {
        let Some(first) = commands.first() else { return Ok(vec![]) };
        match first.command {
            ProcessCommand::RequestTask { .. } | ProcessCommand::CancelTask { .. } => {
                send_to::<Task, S>(dispatcher, first, commands).await
            }
            ProcessCommand::RecordDocumentFailure { .. } => send_to::<Document, S>(dispatcher, first, commands).await,
            ProcessCommand::FailGeneration { .. } | ProcessCommand::CancelGeneration { .. } => {
                send_to::<ProposalGeneration, S>(dispatcher, first, commands).await
            }
            ProcessCommand::NotifyUser { .. } => send_to::<Inbox, S>(dispatcher, first, commands).await,
        }
    }
}

async fn send_to<A, S>(
    dispatcher: &CommandDispatcher<S>,
    first: &PreparedCommand,
    commands: &[&PreparedCommand],
) -> Result<Vec<Result<(), SendError>>, SendError>
where
    A: CommandTarget<Command: AuthorizedCommand + Clone, Error: Send + Sync + 'static> + Fingerprint,
    S: AggregateStores,
{
    let batch: Option<Vec<_>> = commands
        .iter()
        .map(|&PreparedCommand { command, caller, key }| {
            let sender = CommandSender { caller: caller.clone(), authority: CallerAuthority::System };
            let stamp = dispatcher.stamp(&sender);
            let command = A::convert_command(command.clone(), stamp)?;
            let conditions =
                CommandPreconditions { idempotency_key: Some(key.clone()), ..CommandPreconditions::default() };
            Some(BatchedCommand { sender, conditions, command })
        })
        .collect();
    let batch =
        batch.ok_or_else(|| SendError::Retryable("commands to several streams were sent as one batch".into()))?;
    let (_, id) = first.command.target();
    let outcomes = dispatcher.dispatch_batch::<A>(&first.caller.tenant_id, &id, &batch).await;
    Ok(outcomes.map_err(classify)?.into_iter().map(|outcome| outcome.map(drop).map_err(classify)).collect())
}

/// An aggregate that processes send commands to.
trait CommandTarget: PureAggregate {
    /// The command in the form of the aggregate; `None` if it is one for another aggregate type.
    fn convert_command(command: ProcessCommand, stamp: AuditStamp) -> Option<Self::Command>;
}

impl CommandTarget for Task {
    fn convert_command(command: ProcessCommand, stamp: AuditStamp) -> Option<TaskCommand> {
        match command {
            ProcessCommand::RequestTask { spec, .. } => Some(TaskCommand::Request { spec, stamp }),
            ProcessCommand::CancelTask { reason, .. } => Some(TaskCommand::Cancel { reason, stamp }),
            ProcessCommand::RecordDocumentFailure { .. }
            | ProcessCommand::FailGeneration { .. }
            | ProcessCommand::CancelGeneration { .. }
            | ProcessCommand::NotifyUser { .. } => None,
        }
    }
}

impl CommandTarget for Document {
    fn convert_command(command: ProcessCommand, stamp: AuditStamp) -> Option<DocumentCommand> {
        let ProcessCommand::RecordDocumentFailure { stage, reason, .. } = command else { return None };
        Some(DocumentCommand::RecordFailure { stage, reason, stamp })
    }
}

impl CommandTarget for ProposalGeneration {
    fn convert_command(command: ProcessCommand, stamp: AuditStamp) -> Option<ProposalGenerationCommand> {
        match command {
            ProcessCommand::FailGeneration { reason, .. } => Some(ProposalGenerationCommand::Fail { reason, stamp }),
            ProcessCommand::CancelGeneration { reason, .. } => {
                Some(ProposalGenerationCommand::Cancel { reason, stamp })
            }
            ProcessCommand::RequestTask { .. }
            | ProcessCommand::CancelTask { .. }
            | ProcessCommand::RecordDocumentFailure { .. }
            | ProcessCommand::NotifyUser { .. } => None,
        }
    }
}

impl CommandTarget for Inbox {
    fn convert_command(command: ProcessCommand, stamp: AuditStamp) -> Option<InboxCommand> {
        let ProcessCommand::NotifyUser { notification, .. } = command else { return None };
        Some(InboxCommand::Notify { notification, stamp })
    }
}

fn classify<E>(error: CommandError<E>) -> SendError
where
    E: std::error::Error + Send + Sync + 'static,
{
    match error {
        CommandError::Refused(reason) => SendError::Refused(reason.to_string()),
        // Sent again, it would meet the same key.
        CommandError::KeyReused => SendError::Refused(error.to_string()),
        CommandError::Conflict => SendError::Conflict,
        CommandError::Forbidden { .. } | CommandError::Outdated { .. } | CommandError::Store(_) => {
            SendError::Retryable(Box::new(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn a_command_whose_key_was_used_for_another_is_not_sent_again() {
        let error = classify::<Infallible>(CommandError::KeyReused);
        assert!(matches!(error, SendError::Refused(_)), "{error:?}");
        let error = classify::<Infallible>(CommandError::Outdated { current: 2 });
        assert!(matches!(error, SendError::Retryable(_)), "{error:?}");
    }
}
