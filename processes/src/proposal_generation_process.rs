//! Proposal generation: has a worker carry out a requested generation, and notifies who requested it of its end.
//!
//! ```text
//!              requested                          completed: notify
//! NotStarted ─────────────▶ Running ───────────────────────────────────────────▶ Finished
//!              request task,  │ ▲ │                                                  ▲
//!              set timer      │ │ ├── cancelled: cancel task, notify if by another ──┤
//!       section ended: count ─┘ │ └── failed: notify ────────────────────────────────┤
//!                               │                                                    │
//!          task failed or cancelled: fail the generation          operator cancels: cancel task and generation, notify
//!          time-out: cancel the task, fail the generation            an attempt began: reset timer
//! ```
//!
//! The worker records the sections and the completion. Whatever goes wrong first fails the generation, and only its
//! recorded failure ends the process: a generation that has ended in another way meanwhile refuses the failure.

#[cfg(test)]
mod tests;

use std::time::Duration;

use cqrs_es::Aggregate as _;
use domain::{
    context::BoundedContext,
    envelope::{EventDecodeError, RawEnvelope},
    inbox::{Notification, NotificationBody, NotificationId, NotificationKind, NotificationTitle, NotificationTopic},
    proposal_generation::{
        GENERATION_PARAMETER, GenerationId, GenerationReason, ProposalGeneration, ProposalGenerationEvent,
    },
    task::{ParameterList, RetryDecision, SubjectKind, Task, TaskEvent, TaskKind, TaskNote, TaskSpec, TaskSubject},
    value::{ProposalId, UserId},
};
use serde::{Deserialize, Serialize};

use crate::{InstanceSelector, Process, ProcessCommand, ProcessInput, ProcessReaction};

/// Name of the timer that limits the wait for a worker.
const START_TIMER: &str = "start";

/// How long a generation waits for a worker. Workers carry out one generation of a company at a time.
const START_TIMEOUT: Duration = Duration::from_hours(48);

/// Name of the timer that limits the work.
const END_TIMER: &str = "end";

/// How long a generation may take from the start of an attempt on, with the pause before the next one.
const END_TIMEOUT: Duration = Duration::from_hours(6);

/// The state of the process of one generation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum ProposalGenerationProcess {
    /// The generation was not requested yet.
    #[default]
    NotStarted,
    /// A task works on it.
    Running {
        /// The generation.
        generation: SupervisedGeneration,
        /// Number of sections that no provider could write.
        failed_sections: usize,
        /// Number of sections that were generated.
        #[serde(default)]
        generated_sections: usize,
    },
    /// The generation has ended.
    Finished,
}

/// What the process has to know of the generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisedGeneration {
    /// The generation's id.
    pub id: GenerationId,
    /// The proposal.
    pub proposal_id: ProposalId,
    /// Number of requested sections.
    pub sections: usize,
    /// The user who requested it.
    pub requested_by: UserId,
}

/// An event that the process reacts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GenerationProcessEvent {
    /// The generation was requested.
    Requested(SupervisedGeneration),
    /// A worker has started an attempt at the task.
    TaskStarted,
    /// A section was generated.
    SectionGenerated,
    /// No provider could write a section.
    SectionFailed,
    /// The generation was completed.
    Completed,
    /// The generation failed.
    Failed {
        /// Why.
        reason: String,
    },
    /// The generation was cancelled.
    Cancelled {
        /// Why.
        reason: String,
        /// Who cancelled it.
        by: UserId,
    },
    /// The task failed for good, or was cancelled.
    TaskEnded {
        /// Why.
        reason: String,
    },
}

impl Process for ProposalGenerationProcess {
    const NAME: &'static str = "proposal-generation";

    const USER_ID: &'static str = "system:proposal-generation";

    type Event = GenerationProcessEvent;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Proposals, BoundedContext::Tasks]
    }

    fn interpret(event: &RawEnvelope) -> Result<Option<(InstanceSelector, GenerationProcessEvent)>, EventDecodeError> {
        if event.aggregate_type == Task::TYPE {
            let found = interpret_task_event(event.decode()?);
            return Ok(found.map(|event| (InstanceSelector::FollowedStream, event)));
        }
        if event.aggregate_type != ProposalGeneration::TYPE {
            return Ok(None);
        }
        let Ok(id) = GenerationId::parse(event.local_id()) else { return Ok(None) };
        let found = interpret_generation_event(id, event.decode()?);
        Ok(found.map(|event| (InstanceSelector::Id(id.to_string()), event)))
    }

    fn is_start(event: &GenerationProcessEvent) -> bool {
        matches!(event, GenerationProcessEvent::Requested(_))
    }

    fn react(&self, input: ProcessInput<'_, GenerationProcessEvent>) -> ProcessReaction<Self> {
        match (self, input) {
            (Self::NotStarted, ProcessInput::Event(GenerationProcessEvent::Requested(generation))) => start(generation),
            (Self::Running { generation, failed_sections, generated_sections }, ProcessInput::Event(event)) => {
                react_while_running(generation, *failed_sections, *generated_sections, event)
            }
            (Self::Running { generation, .. }, ProcessInput::Timeout(timer)) => {
                let reason = if timer == START_TIMER {
                    "no worker started the generation within 48 hours"
                } else {
                    "no worker completed the generation within 6 hours"
                };
                ProcessReaction::none()
                    .with_command(cancel_task(generation, reason))
                    .with_command(fail_generation(generation, reason))
            }
            (Self::Running { generation, .. }, ProcessInput::Cancelled { reason }) => {
                let reason_on_record = GenerationReason::from_any_text(reason);
                ProcessReaction::move_to(Self::Finished)
                    .with_command(cancel_task(generation, reason))
                    .with_command(ProcessCommand::CancelGeneration {
                        generation_id: generation.id,
                        reason: reason_on_record,
                    })
                    .with_commands(notify(generation, "Proposal generation cancelled", reason))
            }
            // A task with this id exists for other work. The other commands are refused when the generation or the task
            // has ended meanwhile, which needs no reaction.
            (
                Self::Running { generation, .. },
                ProcessInput::CommandRefused { command: ProcessCommand::RequestTask { .. }, reason },
            ) => ProcessReaction::none().with_command(fail_generation(generation, reason)),
            (Self::Running { .. }, ProcessInput::CommandRefused { .. }) | (Self::NotStarted | Self::Finished, _) => {
                ProcessReaction::none()
            }
        }
    }

    fn waits_for(&self) -> Option<&'static str> {
        match self {
            Self::NotStarted => Some("the request"),
            Self::Running { .. } => Some("the end of the generation"),
            Self::Finished => None,
        }
    }
}

fn interpret_generation_event(id: GenerationId, event: ProposalGenerationEvent) -> Option<GenerationProcessEvent> {
    Some(match event {
        ProposalGenerationEvent::Requested { request, stamp } => {
            GenerationProcessEvent::Requested(SupervisedGeneration {
                id,
                proposal_id: request.proposal_id,
                sections: request.sections.len(),
                requested_by: stamp.by,
            })
        }
        ProposalGenerationEvent::SectionGenerated { .. } => GenerationProcessEvent::SectionGenerated,
        ProposalGenerationEvent::SectionFailed { .. } => GenerationProcessEvent::SectionFailed,
        ProposalGenerationEvent::Completed { .. } => GenerationProcessEvent::Completed,
        ProposalGenerationEvent::Failed { reason, .. } => GenerationProcessEvent::Failed { reason: reason.to_string() },
        ProposalGenerationEvent::Cancelled { reason, stamp } => {
            GenerationProcessEvent::Cancelled { reason: reason.to_string(), by: stamp.by }
        }
        ProposalGenerationEvent::Rated { .. } => return None,
    })
}

fn interpret_task_event(event: TaskEvent) -> Option<GenerationProcessEvent> {
    match event {
        TaskEvent::Failed { reason, retry: RetryDecision::Never, .. } | TaskEvent::Cancelled { reason, .. } => {
            Some(GenerationProcessEvent::TaskEnded { reason: reason.to_string() })
        }
        TaskEvent::Started { .. } => Some(GenerationProcessEvent::TaskStarted),
        TaskEvent::Requested { .. }
        | TaskEvent::ProgressReported { .. }
        | TaskEvent::Completed { .. }
        | TaskEvent::Failed { retry: RetryDecision::Later, .. } => None,
    }
}

fn start(generation: &SupervisedGeneration) -> ProcessReaction<ProposalGenerationProcess> {
    let running = ProcessReaction::move_to(running(generation, 0, 0)).with_timer(START_TIMER, START_TIMEOUT);
    let subject = TaskSubject::try_new(SubjectKind::Proposal, &generation.proposal_id.to_string());
    let parameters = ParameterList::try_new([(GENERATION_PARAMETER, generation.id.to_string().as_str())]);
    match (subject, parameters) {
        (Ok(subject), Ok(parameters)) => running.with_command(ProcessCommand::RequestTask {
            task_id: generation.id.task_id(),
            spec: TaskSpec { parameters, ..TaskSpec::new(TaskKind::GenerateProposal, subject) },
        }),
        (Err(_), _) | (_, Err(_)) => {
            running.with_command(fail_generation(generation, "no task can be requested for this proposal"))
        }
    }
}

fn running(
    generation: &SupervisedGeneration,
    failed_sections: usize,
    generated_sections: usize,
) -> ProposalGenerationProcess {
    ProposalGenerationProcess::Running { generation: generation.clone(), failed_sections, generated_sections }
}

fn react_while_running(
    generation: &SupervisedGeneration,
    failed_sections: usize,
    generated_sections: usize,
    event: &GenerationProcessEvent,
) -> ProcessReaction<ProposalGenerationProcess> {
    let finished = || ProcessReaction::move_to(ProposalGenerationProcess::Finished);
    match event {
        GenerationProcessEvent::TaskStarted => {
            ProcessReaction::none().without_timer(START_TIMER).with_timer(END_TIMER, END_TIMEOUT)
        }
        GenerationProcessEvent::SectionGenerated => {
            ProcessReaction::move_to(running(generation, failed_sections, generated_sections.saturating_add(1)))
        }
        GenerationProcessEvent::SectionFailed => {
            ProcessReaction::move_to(running(generation, failed_sections.saturating_add(1), generated_sections))
        }
        GenerationProcessEvent::Completed => {
            let body = describe_completion(generation.sections, failed_sections);
            finished().with_commands(notify(generation, "Proposal generated", &body))
        }
        GenerationProcessEvent::Failed { reason } => {
            let body = describe_failure(reason, generation.sections, generated_sections);
            finished().with_commands(notify(generation, "Proposal not generated", &body))
        }
        GenerationProcessEvent::Cancelled { reason, by } => {
            let notification = (*by != generation.requested_by)
                .then(|| notify(generation, "Proposal generation cancelled", reason))
                .flatten();
            finished().with_command(cancel_task(generation, reason)).with_commands(notification)
        }
        GenerationProcessEvent::TaskEnded { reason } => {
            ProcessReaction::none().with_command(fail_generation(generation, reason))
        }
        GenerationProcessEvent::Requested(_) => ProcessReaction::none(),
    }
}

fn describe_completion(sections: usize, failed: usize) -> String {
    let generated = sections.saturating_sub(failed);
    let advice = "Check each sentence against its sources before you use it.";
    if failed == 0 {
        format!("{} generated. {advice}", count_sections(generated))
    } else {
        format!("{} generated, {failed} could not be. {advice}", count_sections(generated))
    }
}

fn describe_failure(reason: &str, sections: usize, generated: usize) -> String {
    if generated == 0 {
        return reason.to_owned();
    }
    // First, since a reason may be long.
    format!(
        "{} of {sections} sections were generated before it failed: they are in the generation, and in the proposal if its \
         last attempt could write them. Reason: {reason}",
        generated.min(sections)
    )
}

fn count_sections(count: usize) -> String {
    if count == 1 { "1 section was".to_owned() } else { format!("{count} sections were") }
}

fn fail_generation(generation: &SupervisedGeneration, reason: &str) -> ProcessCommand {
    ProcessCommand::FailGeneration { generation_id: generation.id, reason: GenerationReason::from_any_text(reason) }
}

fn cancel_task(generation: &SupervisedGeneration, reason: &str) -> ProcessCommand {
    ProcessCommand::CancelTask { task_id: generation.id.task_id(), reason: TaskNote::from_any_text(reason) }
}

/// Notifies of the end. A generation has one, so that its notification has one id.
fn notify(generation: &SupervisedGeneration, title: &str, body: &str) -> Option<ProcessCommand> {
    let body: String = body.chars().take(2_000).collect();
    let id = NotificationId::new(generation.id.derive_id("end"));
    let (title, body) = (NotificationTitle::try_new(title).ok()?, NotificationBody::try_new(&body).ok()?);
    let notification = Notification {
        about: NotificationTopic::try_new(&generation.proposal_id.to_string()).ok(),
        ..Notification::new(id, NotificationKind::ProposalGenerated, title, body)
    };
    Some(ProcessCommand::NotifyUser { user: generation.requested_by.clone(), notification })
}
