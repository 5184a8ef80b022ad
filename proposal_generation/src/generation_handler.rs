//! Does tasks of the kind `generate_proposal`.

use std::{sync::Arc, time::Duration};

use commands::dispatcher::CommandDispatcher;
use domain::{
    error_chain::format_error_chain,
    event_store::AggregateStores,
    feature_flag::KnownExperiment,
    generation_progress::{ProgressKind, ProgressPublisher},
    proposal::SectionKey,
    proposal_generation::{
        GenerationReason, ProposalGenerationCommand, RequestedGeneration, RequestedSection, SectionOutcome,
    },
    task::{RetryDecision, TaskKind, TaskResult},
    value::ProposalId,
};
use language_models::{GenerationUpdate, PaidSection};
use metrics::counter;
use task_workers::{ClaimedTask, TaskFailure, TaskHandler};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    CONTROL_VARIANT, OpportunitySummary, PassageQuery, PassageSource, PromptLibrary, SectionError, SectionPrompt,
    SectionWriter, SharedEdits, WrittenSection,
    generation_progress_reporter::GenerationProgressReporter,
    generation_recorder::{GenerationRecorder, ProposalWriting, RECORD_PAUSES, RecordOutcome},
    retry_wait::RetryWait,
    section_writer::SectionTask,
};

/// How long an attempt waits, in all, for providers and the search of texts. The pauses of a rate limit and of the circuit
/// breaker are shorter, or end in a later attempt.
pub const MAX_RETRY_WAIT: Duration = Duration::from_mins(15);

/// Generates proposals.
pub struct GenerationHandler<S> {
    /// Reads and records the generation and its proposal.
    pub dispatcher: Arc<CommandDispatcher<S>>,
    /// Finds the passages of a section.
    pub passages: Arc<dyn PassageSource>,
    /// The versions of the prompt.
    pub prompts: Arc<PromptLibrary>,
    /// Writes sections.
    pub writer: SectionWriter,
    /// Records the edits of open editors before the texts are written into the proposal.
    pub edits: Arc<dyn SharedEdits>,
    /// Shows the text as it is written.
    pub progress: Arc<dyn ProgressPublisher>,
    /// How long an attempt waits, in all, before sections that could not be written are tried again.
    pub max_wait: Duration,
    /// The pauses before a result is sent again that the event store has not accepted.
    pub record_pauses: [Duration; RECORD_PAUSES.len()],
}

impl<S: AggregateStores + 'static> TaskHandler for GenerationHandler<S> {
    const KIND: TaskKind = TaskKind::GenerateProposal;

    async fn run(&self, task: &ClaimedTask, cancelled: CancellationToken) -> Result<TaskResult, TaskFailure> {
        let record = GenerationRecorder::from_task(&self.dispatcher, task, self.record_pauses)?;
        let generation = record.load_generation().await?;
        let run = GenerationRun::new(self, task, record, &generation);
        let outcome = run.generate(&generation, &cancelled).await;
        let label = if outcome.is_ok() { "ended" } else { "failed" };
        counter!("medhub_generation_attempts_total", "outcome" => label).increment(1);
        outcome
    }
}

/// The result of one pass over a section.
enum SectionPass {
    Recorded,
    /// It may be written later.
    Postponed(SectionError),
    /// The generation has ended.
    Ended,
}

/// What all sections of an attempt have in common.
#[derive(Clone, Copy)]
struct SectionContext<'a> {
    generation: &'a RequestedGeneration,
    prompt: &'a SectionPrompt,
    opportunity: &'a OpportunitySummary,
    /// The provider to ask first.
    preferred: Option<&'a str>,
}

/// One attempt at a generation.
struct GenerationRun<'a, S> {
    handler: &'a GenerationHandler<S>,
    task: &'a ClaimedTask,
    record: GenerationRecorder<'a, S>,
    proposal: ProposalId,
    progress: GenerationProgressReporter,
}

impl<'a, S: AggregateStores> GenerationRun<'a, S> {
    fn new(
        handler: &'a GenerationHandler<S>,
        task: &'a ClaimedTask,
        record: GenerationRecorder<'a, S>,
        generation: &RequestedGeneration,
    ) -> Self {
        let proposal = generation.request.proposal_id;
        let (publisher, tenant) = (Arc::clone(&handler.progress), task.tenant_id.clone());
        let progress = GenerationProgressReporter::new(publisher, tenant, proposal, record.id());
        Self { handler, task, record, proposal, progress }
    }

    async fn generate(
        &self,
        generation: &RequestedGeneration,
        cancelled: &CancellationToken,
    ) -> Result<TaskResult, TaskFailure> {
        if generation.end.is_some() {
            return task_result("the generation has already ended");
        }
        // Ask no provider for a proposal that cannot be written.
        self.record.load_draft(self.proposal).await?;
        self.write_recorded_texts().await?;
        // Prompt and provider of a generation may be gone when nothing is left to ask.
        if generation.pending_sections().next().is_none() {
            return self.finish().await;
        }
        let preferred = preferred_provider(generation, &self.handler.writer)?;
        let prompt = self.handler.prompts.find(&generation.request.prompt).ok_or_else(|| {
            let version = &generation.request.prompt.version;
            tracing::error!(task.id = self.task.task_id, prompt.version = %version, "unknown version of the prompt");
            TaskFailure::later("this version of the prompt is not known here")
        })?;
        let passages = &self.handler.passages;
        let opportunity = passages.summarize_opportunity(&generation.request.opportunity_id).await;
        let opportunity = opportunity.map_err(|error| retrieval_failure(&error))?;
        let mut wait = RetryWait::new(self.handler.max_wait);
        let mut pending: Vec<&RequestedSection> = generation.pending_sections().collect();
        loop {
            let mut postponed: Vec<(&RequestedSection, SectionError)> = vec![];
            for section in pending {
                if cancelled.is_cancelled() {
                    return Err(TaskFailure::later("the generation was interrupted"));
                }
                let context = SectionContext { generation, prompt, opportunity: &opportunity, preferred };
                match self.generate_section(context, section).await? {
                    SectionPass::Recorded => self.write_recorded_texts().await?,
                    SectionPass::Postponed(error) => postponed.push((section, error)),
                    SectionPass::Ended => return task_result("the generation has ended meanwhile"),
                }
            }
            let Some(retry_after) = postponed.iter().map(|(_, error)| error.retry_after()).min() else {
                return self.finish().await;
            };
            let Some(pause) = wait.take_pause(retry_after) else {
                return self.end_attempt(&postponed).await;
            };
            sleep(pause).await;
            pending = postponed.into_iter().map(|(section, _)| section).collect();
        }
    }

    /// Leaves sections to the next attempt, or records that they failed when this is the last one: the others are written
    /// into the proposal then.
    async fn end_attempt(&self, postponed: &[(&RequestedSection, SectionError)]) -> Result<TaskResult, TaskFailure> {
        if !self.task.is_last_attempt() {
            let reason = postponed.first().map_or("the generation was interrupted", |(_, error)| error.user_reason());
            return Err(TaskFailure::later(reason));
        }
        for (section, error) in postponed {
            if self.record_failure(section, error).await? == RecordOutcome::Ended {
                return task_result("the generation has ended meanwhile");
            }
        }
        self.finish().await
    }

    /// Records that a section has failed, with the cost of all attempts at it.
    async fn record_failure(
        &self,
        section: &RequestedSection,
        error: &SectionError,
    ) -> Result<RecordOutcome, TaskFailure> {
        let (writer, paid) = (&self.handler.writer, self.paid_section(section));
        let cost_micros = writer.unrecorded_micros(paid).await;
        let cost_micros = cost_micros.map_err(|error| TaskFailure::later(error.user_reason()))?;
        let (key, reason) = (&section.key, GenerationReason::from_any_text(error.user_reason()));
        let build = |stamp| ProposalGenerationCommand::RecordSectionFailure {
            section: key.clone(),
            reason: reason.clone(),
            cost_micros,
            stamp,
        };
        let recorded = self.record.record(&section_step(&section.key), build).await?;
        writer.close_section(paid).await;
        Ok(recorded)
    }

    fn paid_section<'s>(&'s self, section: &'s RequestedSection) -> PaidSection<'s> {
        PaidSection { tenant: &self.task.tenant_id, generation: self.record.id(), section: &section.key }
    }

    /// Writes and records a section.
    async fn generate_section(
        &self,
        context: SectionContext<'_>,
        section: &RequestedSection,
    ) -> Result<SectionPass, TaskFailure> {
        let recorded = match self.find_or_write_section(context, section).await? {
            Ok(written) => self.record_section(section, written).await?,
            Err(error) => {
                let section_key = section.key.as_str();
                let reason = format_error_chain(&error);
                tracing::warn!(task.id = self.task.task_id, section = section_key, reason, "section not generated");
                if error.is_temporary() {
                    self.progress.publish(Some(&section.key), ProgressKind::SectionEnded);
                    return Ok(SectionPass::Postponed(error));
                }
                self.record_failure(section, &error).await?
            }
        };
        self.progress.publish(Some(&section.key), ProgressKind::SectionEnded);
        Ok(match recorded {
            RecordOutcome::Recorded => SectionPass::Recorded,
            RecordOutcome::Ended => SectionPass::Ended,
        })
    }

    async fn record_section(
        &self,
        section: &RequestedSection,
        WrittenSection { draft, model, payment }: WrittenSection,
    ) -> Result<RecordOutcome, TaskFailure> {
        let key = &section.key;
        let build = |stamp| ProposalGenerationCommand::RecordSection {
            section: key.clone(),
            draft: draft.clone(),
            model: model.clone(),
            stamp,
        };
        let recorded = self.record.record(&section_step(&section.key), build).await;
        // What the next attempt may record stays in the ledger, or in memory.
        if recorded.as_ref().is_err_and(|failure| failure.retry == RetryDecision::Later) {
            let written = WrittenSection { draft, model, payment };
            self.handler.writer.keep_unstored(self.paid_section(section), written);
        } else if let Some(payment) = payment {
            self.handler.writer.settle_payment(payment).await;
        }
        recorded
    }

    /// The section as an earlier attempt has written it, otherwise as a provider writes it now.
    async fn find_or_write_section(
        &self,
        context: SectionContext<'_>,
        section: &RequestedSection,
    ) -> Result<Result<WrittenSection, SectionError>, TaskFailure> {
        match self.handler.writer.find_written(self.paid_section(section)).await {
            Ok(None) => self.write_section(context, section).await,
            Ok(Some(written)) => Ok(Ok(written)),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn write_section(
        &self,
        SectionContext { generation, prompt, opportunity, preferred }: SectionContext<'_>,
        section: &RequestedSection,
    ) -> Result<Result<WrittenSection, SectionError>, TaskFailure> {
        let query = PassageQuery {
            tenant: self.task.tenant_id.clone(),
            proposal: self.proposal,
            opportunity: generation.request.opportunity_id.clone(),
            queries: prompt.search_queries(section, opportunity),
            limits: prompt.limits(),
        };
        let passages = match self.handler.passages.find_passages(&query).await {
            Ok(passages) => passages,
            Err(error) => return Ok(Err(SectionError::Passages(error))),
        };
        let request = prompt.build_request(section, opportunity, &passages);
        let request = request.map_err(|error| TaskFailure::never(&format_error_chain(&error)))?;
        let publish = |update: GenerationUpdate<'_>| {
            let kind = match update {
                GenerationUpdate::Started { provider } => ProgressKind::Started { provider: provider.to_owned() },
                GenerationUpdate::Text(text) => ProgressKind::Text(text.to_owned()),
            };
            self.progress.publish(Some(&section.key), kind);
        };
        let section_task =
            SectionTask { passages: &passages, prompt: prompt.reference(), preferred, now: self.record.now() };
        Ok(self.handler.writer.write_section(self.paid_section(section), &request, section_task, &publish).await)
    }

    /// In the last attempt, writes the texts that are recorded so far into the proposal: if its worker dies, the
    /// generation fails, and no other worker writes them.
    async fn write_recorded_texts(&self) -> Result<(), TaskFailure> {
        if !self.task.is_last_attempt() {
            return Ok(());
        }
        let generation = self.record.load_generation().await?;
        let count = generation.generated_count();
        if count == 0 || generation.end.is_some() {
            return Ok(());
        }
        match self.record.write_proposal(&generation, &format!("text:{count}"), &*self.handler.edits).await {
            Err(failure) if failure.retry == RetryDecision::Never => Err(failure),
            Err(failure) => {
                tracing::warn!(
                    task.id = self.task.task_id,
                    reason = %failure,
                    "writing recorded texts failed, they are written at the end only"
                );
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    /// Writes the texts into the proposal and completes the generation.
    async fn finish(&self) -> Result<TaskResult, TaskFailure> {
        let generation = self.record.load_generation().await?;
        if generation.end.is_some() {
            return task_result("the generation has ended meanwhile");
        }
        let mut reasons = generation.outcomes.values().filter_map(|outcome| match outcome {
            SectionOutcome::Failed { reason, .. } => Some(reason.as_str()),
            SectionOutcome::Generated { .. } => None,
        });
        if generation.generated_count() == 0 {
            let reason = reasons.next().unwrap_or("it has no sections");
            return Err(TaskFailure::never(&format!("no section was generated: {reason}")));
        }
        let failed = reasons.count();
        let writing = self.record.write_proposal(&generation, "text", &*self.handler.edits).await?;
        let ended = self.record.record("end", |stamp| ProposalGenerationCommand::Complete { stamp }).await?;
        if ended == RecordOutcome::Ended {
            return task_result("the generation ended while its texts were written into the proposal");
        }
        task_result(&describe_result(&writing, failed))
    }
}

/// The key of a section's step. It cannot equal the key of another step, which has no colon.
fn section_step(key: &SectionKey) -> String {
    format!("section:{key}")
}

/// The provider to ask first, by the company's variant; `None` for the configured order.
///
/// # Errors
/// [`TaskFailure`] when this program has no such provider. In another order the texts would count for a variant that
/// did not write them.
fn preferred_provider<'a>(
    generation: &'a RequestedGeneration,
    writer: &SectionWriter,
) -> Result<Option<&'a str>, TaskFailure> {
    let experiment = KnownExperiment::ProposalProvider.name();
    let assigned = generation.request.assignments.iter().find(|known| known.experiment.as_str() == experiment);
    let variant = assigned.map(|assigned| assigned.variant.as_str()).filter(|variant| *variant != CONTROL_VARIANT);
    if let Some(variant) = variant
        && !writer.has_provider(variant)
    {
        tracing::error!(variant, "the company's variant of {experiment} is no provider in `language_models.providers`");
        return Err(TaskFailure::later("the provider that was chosen for this generation is not known here"));
    }
    Ok(variant)
}

fn retrieval_failure(error: &crate::RetrievalError) -> TaskFailure {
    tracing::warn!(reason = format_error_chain(error), "finding passages for a generation failed");
    TaskFailure::later("the company's texts cannot be searched at present")
}

fn describe_result(writing: &ProposalWriting, failed: usize) -> String {
    let mut parts = vec![format!("{} sections written", writing.written)];
    if failed > 0 {
        parts.push(format!("{failed} could not be generated"));
    }
    if !writing.changed_meanwhile.is_empty() {
        let keys: Vec<_> = writing.changed_meanwhile.iter().map(SectionKey::as_str).collect();
        parts.push(format!("left as they were changed meanwhile: {}", keys.join(", ")));
    }
    parts.join("; ")
}

/// The result of a task in words.
///
/// # Errors
/// [`TaskFailure`] never: the texts are short and not empty.
fn task_result(text: &str) -> Result<TaskResult, TaskFailure> {
    TaskResult::try_new(text).map_err(|error| TaskFailure::never(&error.to_string()))
}
