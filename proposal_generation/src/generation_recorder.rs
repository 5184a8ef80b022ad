//! The generation and the proposal of a task: their states, and the commands that record results.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use commands::{
    authorization::{AuthorizedCommand, CallerAuthority},
    caller::Caller,
    dispatcher::{CommandDispatcher, CommandSender},
    error::CommandError,
    precondition::{CommandPreconditions, IdempotencyKey},
};
use domain::{
    aggregate::PureAggregate,
    error_chain::format_error_chain,
    event_store::AggregateStores,
    fingerprint::Fingerprint,
    proposal::{
        LifecyclePhase, Proposal, ProposalCommand, ProposalContent, ProposalError, Section, SectionChange, SectionKey,
    },
    proposal_generation::{
        GENERATOR_USER_ID, GenerationId, ProposalGeneration, ProposalGenerationCommand, ProposalGenerationError,
        RequestedGeneration, RequestedSection, SectionOutcome, find_generation_parameter,
    },
    task::RetryDecision,
    value::{AuditStamp, ProposalId, UserId},
};
use task_workers::{ClaimedTask, TaskFailure};
use tokio::time::sleep;

use crate::{section_content::format_section_content, shared_edits::SharedEdits};

/// Attempts to write the texts into the proposal while members edit it.
const WRITE_ATTEMPTS: usize = 5;

/// Pauses before a result is sent again that the event store has not accepted.
pub const RECORD_PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// Reads and changes the generation of one task, and its proposal.
pub(crate) struct GenerationRecorder<'a, S> {
    dispatcher: &'a CommandDispatcher<S>,
    task: &'a ClaimedTask,
    id: GenerationId,
    pauses: [Duration; RECORD_PAUSES.len()],
}

/// Whether a result was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordOutcome {
    /// It is on record.
    Recorded,
    /// The generation has ended, e.g. because it was cancelled.
    Ended,
}

/// How the texts were written into the proposal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProposalWriting {
    /// Number of sections that have the generated text.
    pub(crate) written: usize,
    /// Sections that were changed or removed since the request.
    pub(crate) changed_meanwhile: Vec<SectionKey>,
}

impl<'a, S: AggregateStores> GenerationRecorder<'a, S> {
    /// The generation of a task; `pauses` are those before a result is sent again.
    ///
    /// # Errors
    /// [`TaskFailure`] when the task names none, or is not the one that its process has requested.
    pub(crate) fn from_task(
        dispatcher: &'a CommandDispatcher<S>,
        task: &'a ClaimedTask,
        pauses: [Duration; RECORD_PAUSES.len()],
    ) -> Result<Self, TaskFailure> {
        let parameter = find_generation_parameter(&task.spec);
        let parameter = parameter.ok_or_else(|| TaskFailure::never("the task names no generation"))?;
        let id = GenerationId::parse(parameter);
        let id = id.map_err(|error| TaskFailure::never(&format!("the task names no generation: {error}")))?;
        // Another task would ask for the same sections a second time.
        if task.task_id != id.task_id().to_string() {
            return Err(TaskFailure::never("the generation has another task; use generateProposal for a new one"));
        }
        Ok(Self { dispatcher, task, id, pauses })
    }

    pub(crate) fn id(&self) -> GenerationId {
        self.id
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.dispatcher.now()
    }

    /// The generation in its current state.
    ///
    /// # Errors
    /// [`TaskFailure`] when it was never requested, or the event store does not answer.
    pub(crate) async fn load_generation(&self) -> Result<RequestedGeneration, TaskFailure> {
        match self.load::<ProposalGeneration>(&self.id.to_string()).await? {
            ProposalGeneration::Requested(generation) => Ok(*generation),
            ProposalGeneration::Unrequested => Err(TaskFailure::never("there is no such generation")),
        }
    }

    /// The content of the proposal as long as it is a draft.
    ///
    /// # Errors
    /// [`TaskFailure`] when it is no draft, or the event store does not answer.
    pub(crate) async fn load_draft(&self, proposal: ProposalId) -> Result<ProposalContent, TaskFailure> {
        let proposal: Proposal = self.load(&proposal.to_string()).await?;
        match proposal {
            Proposal::Draft(content) => Ok(*content),
            Proposal::Unwritten => Err(TaskFailure::never("there is no such proposal")),
            Proposal::InReview { .. }
            | Proposal::Approved(_)
            | Proposal::Submitted(_)
            | Proposal::Decided { .. }
            | Proposal::Withdrawn(_) => Err(not_a_draft_failure(proposal.phase())),
        }
    }

    /// Records a result of the generation, under a key of its `step`: it is recorded once, also when several attempts
    /// send it. A provider may have been paid for it, so it is sent several times while the event store does not answer.
    ///
    /// # Errors
    /// [`TaskFailure`] when its state forbids it, or the event store does not answer.
    pub(crate) async fn record(
        &self,
        step: &str,
        build: impl Fn(AuditStamp) -> ProposalGenerationCommand,
    ) -> Result<RecordOutcome, TaskFailure> {
        let id = self.id.to_string();
        let mut pauses = self.pauses.into_iter();
        loop {
            match self.dispatch::<ProposalGeneration>(&id, step, &build).await? {
                Ok(()) | Err(CommandError::Refused(ProposalGenerationError::AlreadyRecorded { .. })) => {
                    return Ok(RecordOutcome::Recorded);
                }
                Err(CommandError::Refused(ProposalGenerationError::AlreadyEnded)) => return Ok(RecordOutcome::Ended),
                Err(CommandError::Refused(reason)) => return Err(TaskFailure::never(&reason.to_string())),
                Err(error) => {
                    let failure = self.command_failure(&error);
                    if failure.retry == RetryDecision::Never {
                        return Err(failure);
                    }
                    sleep(pauses.next().ok_or(failure)?).await;
                }
            }
        }
    }

    /// Writes the generated texts into the proposal with one command, under a key of the `step`. Sections that have
    /// another revision than at the request, or were removed, are left as they are. The edits of open editors are recorded
    /// first, so that they count.
    ///
    /// # Errors
    /// [`TaskFailure`] when the proposal is no draft any more, keeps changing, or the event store does not answer.
    pub(crate) async fn write_proposal(
        &self,
        generation: &RequestedGeneration,
        step: &str,
        edits: &dyn SharedEdits,
    ) -> Result<ProposalWriting, TaskFailure> {
        for _ in 0..WRITE_ATTEMPTS {
            let recorded = edits.record_edits(&self.task.tenant_id, generation.request.proposal_id).await;
            recorded.map_err(|error| {
                tracing::warn!(task.id = self.task.task_id, reason = format_error_chain(&error), "edits not recorded");
                TaskFailure::later("the edits of open editors cannot be recorded at present")
            })?;
            let content = self.load_draft(generation.request.proposal_id).await?;
            let (edits, writing) = plan_edits(generation, &content)?;
            if edits.is_empty() {
                return Ok(writing);
            }
            let build = |stamp: AuditStamp| ProposalCommand::EditSections {
                edits: edits.into_iter().map(|edit| (edit, stamp.clone())).collect(),
            };
            let id = generation.request.proposal_id.to_string();
            match self.dispatch::<Proposal>(&id, step, build).await? {
                Ok(()) => return Ok(writing),
                // A member has changed the proposal in between.
                Err(CommandError::Refused(ProposalError::StaleSection { .. }) | CommandError::Conflict) => {}
                Err(CommandError::Refused(ProposalError::WrongPhase { phase, .. })) => {
                    return Err(not_a_draft_failure(phase));
                }
                Err(CommandError::Refused(reason)) => return Err(TaskFailure::never(&reason.to_string())),
                Err(error) => return Err(self.command_failure(&error)),
            }
        }
        Err(TaskFailure::later("the proposal keeps changing while the generated texts are written into it"))
    }

    /// Sends a command under a key of the generation's `step`.
    async fn dispatch<A>(
        &self,
        id: &str,
        step: &str,
        build: impl FnOnce(AuditStamp) -> A::Command,
    ) -> Result<Result<(), CommandError<A::Error>>, TaskFailure>
    where
        A: PureAggregate<Command: AuthorizedCommand + Clone, Error: 'static> + Fingerprint,
    {
        let caller = Caller {
            user_id: UserId::from_program(GENERATOR_USER_ID),
            tenant_id: self.task.tenant_id.clone(),
            correlation_id: self.task.correlation_id,
            causation_id: Some(self.task.request_event_id),
        };
        let sender = CommandSender { caller, authority: CallerAuthority::System };
        // All attempts at a step are one request, even if their outcomes differ.
        let key = IdempotencyKey::try_new(&format!("task-result:{}:{step}", self.id), step);
        let key = key.map_err(|error| TaskFailure::never(&format!("the step {step} has no key: {error}")))?;
        let conditions = CommandPreconditions { idempotency_key: Some(key), ..CommandPreconditions::default() };
        let command = build(self.dispatcher.stamp(&sender));
        Ok(self.dispatcher.dispatch::<A>(&sender, id, &conditions, command).await.map(drop))
    }

    async fn load<A>(&self, id: &str) -> Result<A, TaskFailure>
    where
        A: PureAggregate<Error: 'static> + Fingerprint,
    {
        let loaded = self.dispatcher.load_aggregate::<A>(&self.task.tenant_id, id).await;
        loaded.map(|loaded| loaded.state).map_err(|error| self.command_failure(&error))
    }

    fn command_failure<E: std::error::Error + 'static>(&self, error: &CommandError<E>) -> TaskFailure {
        tracing::warn!(task.id = self.task.task_id, reason = format_error_chain(error), "generation not recorded");
        match error {
            CommandError::Store(_) | CommandError::Conflict => TaskFailure::later("the event store does not answer"),
            CommandError::Refused(_)
            | CommandError::Forbidden { .. }
            | CommandError::Outdated { .. }
            | CommandError::KeyReused => TaskFailure::never(&error.to_string()),
        }
    }
}

fn not_a_draft_failure(phase: LifecyclePhase) -> TaskFailure {
    TaskFailure::never(&format!(
        "the proposal is no draft any more but {phase}; the texts that were generated are in the generation"
    ))
}

/// Whether the section is as it was at the request.
fn is_unchanged_since_request(requested: &RequestedSection, current: Option<&Section>) -> bool {
    match current {
        Some(section) => section.revision == requested.based_on,
        None => !requested.in_proposal,
    }
}

/// The edits that write the generated texts into the proposal, and how many sections they concern.
fn plan_edits(
    generation: &RequestedGeneration,
    content: &ProposalContent,
) -> Result<(Vec<SectionChange>, ProposalWriting), TaskFailure> {
    let outcomes: &BTreeMap<SectionKey, SectionOutcome> = &generation.outcomes;
    let (mut edits, mut writing) = (vec![], ProposalWriting::default());
    for requested in &generation.request.sections {
        let Some(SectionOutcome::Generated { draft, model }) = outcomes.get(&requested.key) else { continue };
        let text = format_section_content(draft, model).map_err(|error| TaskFailure::never(&error.to_string()))?;
        let current = content.section(&requested.key);
        if current.is_some_and(|section| section.content.as_ref() == Some(&text)) {
            writing.written += 1;
        } else if is_unchanged_since_request(requested, current) {
            writing.written += 1;
            edits.push(SectionChange {
                section: requested.key.clone(),
                heading: current.map_or_else(|| requested.heading.clone(), |section| section.heading.clone()),
                content: text,
                based_on: requested.based_on,
            });
        } else {
            writing.changed_meanwhile.push(requested.key.clone());
        }
    }
    Ok((edits, writing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_section_that_was_removed_is_not_added_again() {
        let (key, heading) = (SectionKey::try_new("staff"), domain::proposal::SectionHeading::try_new("Staff"));
        let planned = RequestedSection { key: key.unwrap(), heading: heading.unwrap(), based_on: 0, in_proposal: true };
        assert!(!is_unchanged_since_request(&planned, None));
        assert!(is_unchanged_since_request(&RequestedSection { in_proposal: false, ..planned }, None));
    }
}
