//! Document analysis: leads an uploaded document through its processing stages, and notifies who uploaded it.
//!
//! ```text
//!              uploaded                  text extracted              requirements extracted            analysed
//! NotStarted ───────────▶ Running: text ───────────────▶ requirements ─────────────────────▶ analysis ──────────▶ Finished
//!                            │  each stage: a task is requested, a timer is set                  │   notify
//!                            └──── task failed or cancelled, no result in time ──────────────────┴──────────────▶ Finished
//!                                  cancel the task, record the failure, notify
//! ```
//!
//! Workers do the tasks and record their results in the document. A deleted document ends the process without a
//! notification.

#[cfg(test)]
mod tests;

use std::time::Duration;

use domain::{
    context::BoundedContext,
    document::{DocumentEvent, FailureReason, ProcessingStage},
    envelope::{EventDecodeError, RawEnvelope},
    inbox::{Notification, NotificationBody, NotificationId, NotificationKind, NotificationTitle, NotificationTopic},
    task::{RetryDecision, SubjectKind, TaskEvent, TaskKind, TaskNote, TaskSpec, TaskSubject},
    value::UserId,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{InstanceSelector, Process, ProcessCommand, ProcessInput, ProcessReaction};

/// Namespace of the ids of tasks and notifications, which are derived from the document's id: a repetition has the same.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x6d65_6468_7562_5f64_6f63_756d_656e_7473);

/// Name of the timer that limits a stage.
const STAGE_TIMER: &str = "stage";

/// How long a stage may take, with all attempts of its task.
const STAGE_TIMEOUT: Duration = Duration::from_hours(24);

/// The state of the analysis of one document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum DocumentAnalysisProcess {
    /// The document was not uploaded yet.
    #[default]
    NotStarted,
    /// A task works on the stage.
    Running {
        /// The document.
        document: SupervisedDocument,
        /// The stage.
        stage: ProcessingStage,
    },
    /// The document is analysed, failed or deleted.
    Finished,
}

/// What the process has to know of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisedDocument {
    /// The document's id.
    pub id: String,
    /// The name of its file.
    pub file_name: String,
    /// The user who uploaded it.
    pub uploaded_by: UserId,
}

/// An event that the process reacts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentAnalysisEvent {
    /// The document was uploaded.
    Uploaded(SupervisedDocument),
    /// The stage was completed.
    StageCompleted(ProcessingStage),
    /// The document was deleted.
    Deleted,
    /// A task of the process failed for good, or was cancelled.
    TaskEnded {
        /// The task's id.
        task_id: String,
        /// Why.
        reason: String,
    },
}

impl Process for DocumentAnalysisProcess {
    const NAME: &'static str = "document-analysis";

    const USER_ID: &'static str = "system:document-analysis";

    type Event = DocumentAnalysisEvent;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Documents, BoundedContext::Tasks]
    }

    fn interpret(event: &RawEnvelope) -> Result<Option<(InstanceSelector, DocumentAnalysisEvent)>, EventDecodeError> {
        if BoundedContext::from_aggregate_type(&event.aggregate_type) == Some(BoundedContext::Tasks) {
            let found = interpret_task_event(event.local_id(), event.decode()?);
            return Ok(found.map(|event| (InstanceSelector::FollowedStream, event)));
        }
        let document_id = event.local_id().to_owned();
        let found = interpret_document_event(&document_id, event.decode()?);
        Ok(found.map(|event| (InstanceSelector::Id(document_id), event)))
    }

    fn is_start(event: &DocumentAnalysisEvent) -> bool {
        matches!(event, DocumentAnalysisEvent::Uploaded(_))
    }

    fn react(&self, input: ProcessInput<'_, DocumentAnalysisEvent>) -> ProcessReaction<Self> {
        match (self, input) {
            (Self::NotStarted, ProcessInput::Event(DocumentAnalysisEvent::Uploaded(document))) => {
                start_stage(document, ProcessingStage::Text)
            }
            (Self::Running { document, stage }, ProcessInput::Event(event)) => {
                match event {
                    DocumentAnalysisEvent::StageCompleted(completed) if completed == stage => {
                        complete_stage(document, *stage)
                    }
                    DocumentAnalysisEvent::TaskEnded { task_id: ended, reason }
                        if *ended == task_id(document, *stage).to_string() =>
                    {
                        fail(document, *stage, reason)
                    }
                    DocumentAnalysisEvent::Deleted => ProcessReaction::move_to(Self::Finished)
                        .with_commands(cancel_task(document, *stage, "the document was deleted")),
                    // The task of an earlier stage, whose result is recorded, may end in any way.
                    DocumentAnalysisEvent::Uploaded(_)
                    | DocumentAnalysisEvent::StageCompleted(_)
                    | DocumentAnalysisEvent::TaskEnded { .. } => ProcessReaction::none(),
                }
            }
            (Self::Running { document, stage }, ProcessInput::Timeout(_)) => {
                fail_running_stage(document, *stage, "no worker completed this stage within 24 hours")
            }
            (Self::Running { document, stage }, ProcessInput::Cancelled { reason }) => {
                fail_running_stage(document, *stage, reason)
            }
            // A task with this id exists for other work. The other commands are refused when the document or the task
            // has ended meanwhile, which needs no reaction.
            (
                Self::Running { document, stage },
                ProcessInput::CommandRefused { command: ProcessCommand::RequestTask { .. }, reason },
            ) => fail(document, *stage, reason),
            (Self::Running { .. }, ProcessInput::CommandRefused { .. }) | (Self::NotStarted | Self::Finished, _) => {
                ProcessReaction::none()
            }
        }
    }

    fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::NotStarted => Some("the upload"),
            Self::Running { stage: ProcessingStage::Text, .. } => Some("the text"),
            Self::Running { stage: ProcessingStage::Requirements, .. } => Some("the requirements"),
            Self::Running { stage: ProcessingStage::Analysis, .. } => Some("the analysis"),
            Self::Finished => None,
        }
    }
}

fn interpret_document_event(document_id: &str, event: DocumentEvent) -> Option<DocumentAnalysisEvent> {
    Some(match event {
        DocumentEvent::Uploaded { upload, stamp } => DocumentAnalysisEvent::Uploaded(SupervisedDocument {
            id: document_id.to_owned(),
            file_name: upload.file_name.as_str().to_owned(),
            uploaded_by: stamp.by,
        }),
        DocumentEvent::TextExtracted { .. } => DocumentAnalysisEvent::StageCompleted(ProcessingStage::Text),
        DocumentEvent::RequirementsExtracted { .. } => {
            DocumentAnalysisEvent::StageCompleted(ProcessingStage::Requirements)
        }
        DocumentEvent::Analysed { .. } => DocumentAnalysisEvent::StageCompleted(ProcessingStage::Analysis),
        DocumentEvent::Deleted { .. } => DocumentAnalysisEvent::Deleted,
        // The task decides whether it is tried again.
        DocumentEvent::Failed { .. } => return None,
    })
}

fn interpret_task_event(task_id: &str, event: TaskEvent) -> Option<DocumentAnalysisEvent> {
    match event {
        TaskEvent::Failed { reason, retry: RetryDecision::Never, .. } | TaskEvent::Cancelled { reason, .. } => {
            Some(DocumentAnalysisEvent::TaskEnded { task_id: task_id.to_owned(), reason: reason.as_str().to_owned() })
        }
        TaskEvent::Requested { .. }
        | TaskEvent::Started { .. }
        | TaskEvent::ProgressReported { .. }
        | TaskEvent::Completed { .. }
        | TaskEvent::Failed { retry: RetryDecision::Later, .. } => None,
    }
}

fn start_stage(document: &SupervisedDocument, stage: ProcessingStage) -> ProcessReaction<DocumentAnalysisProcess> {
    let kind = match stage {
        ProcessingStage::Text => TaskKind::ExtractText,
        ProcessingStage::Requirements => TaskKind::ExtractRequirements,
        ProcessingStage::Analysis => TaskKind::AnalyseDocument,
    };
    let Ok(subject) = TaskSubject::try_new(SubjectKind::Document, &document.id) else {
        return fail(document, stage, "no task can be requested for a document with this id");
    };
    let spec = TaskSpec::new(kind, subject);
    ProcessReaction::move_to(DocumentAnalysisProcess::Running { document: document.clone(), stage })
        .with_command(ProcessCommand::RequestTask { task_id: task_id(document, stage), spec })
        .with_timer(STAGE_TIMER, STAGE_TIMEOUT)
}

fn complete_stage(document: &SupervisedDocument, stage: ProcessingStage) -> ProcessReaction<DocumentAnalysisProcess> {
    match stage {
        ProcessingStage::Text => start_stage(document, ProcessingStage::Requirements),
        ProcessingStage::Requirements => start_stage(document, ProcessingStage::Analysis),
        ProcessingStage::Analysis => {
            let notification = notification(
                document,
                "analysed",
                "Document analysed",
                "Its text, requirements and analysis are ready.",
            );
            ProcessReaction::move_to(DocumentAnalysisProcess::Finished).with_commands(notification)
        }
    }
}

/// Ends the process with a failure, after the task has ended.
fn fail(
    document: &SupervisedDocument,
    stage: ProcessingStage,
    reason: &str,
) -> ProcessReaction<DocumentAnalysisProcess> {
    let recorded = FailureReason::try_new(&truncate(reason, 2_000))
        .ok()
        .map(|reason| ProcessCommand::RecordDocumentFailure { document_id: document.id.clone(), stage, reason });
    let body = format!("The stage \"{}\" failed: {reason}", stage.name());
    ProcessReaction::move_to(DocumentAnalysisProcess::Finished).with_commands(recorded).with_commands(notification(
        document,
        "failed",
        "Document not analysed",
        &body,
    ))
}

/// Ends the process with a failure while the task may be running.
fn fail_running_stage(
    document: &SupervisedDocument,
    stage: ProcessingStage,
    reason: &str,
) -> ProcessReaction<DocumentAnalysisProcess> {
    let mut reaction = fail(document, stage, reason);
    reaction.commands.splice(0..0, cancel_task(document, stage, reason));
    reaction
}

fn cancel_task(document: &SupervisedDocument, stage: ProcessingStage, reason: &str) -> Option<ProcessCommand> {
    let reason = TaskNote::try_new(&truncate(reason, 2_000)).ok()?;
    Some(ProcessCommand::CancelTask { task_id: task_id(document, stage), reason })
}

fn notification(document: &SupervisedDocument, outcome: &str, title: &str, body: &str) -> Option<ProcessCommand> {
    let id = Uuid::new_v5(&ID_NAMESPACE, format!("{} {outcome}", document.id).as_bytes());
    let title = NotificationTitle::try_new(&truncate(&format!("{title}: {}", document.file_name), 200)).ok()?;
    let body = NotificationBody::try_new(&truncate(body, 2_000)).ok()?;
    let notification = Notification {
        about: NotificationTopic::try_new(&document.id).ok(),
        ..Notification::new(NotificationId::new(id), NotificationKind::DocumentAnalysed, title, body)
    };
    Some(ProcessCommand::NotifyUser { user: document.uploaded_by.clone(), notification })
}

fn task_id(document: &SupervisedDocument, stage: ProcessingStage) -> Uuid {
    Uuid::new_v5(&ID_NAMESPACE, format!("{} {}", document.id, stage.name()).as_bytes())
}

/// At most `limit` characters of a text.
fn truncate(text: &str, limit: usize) -> String {
    text.chars().take(limit).collect()
}
