//! Does tasks of the kind `generate_proposal`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use commands::dispatcher::CommandDispatcher;
use domain::{
    error_chain::format_error_chain,
    event_store::AggregateStores,
    generation_progress::{ProgressKind, ProgressPublisher},
    proposal::SectionKey,
    proposal_generation::{
        GenerationReason, ProposalGenerationCommand, RequestedGeneration, RequestedSection, SectionOutcome,
    },
    task::{TaskKind, TaskResult},
    value::ProposalId,
};
use futures::{FutureExt as _, future::BoxFuture};
use language_models::GenerationUpdate;
use metrics::counter;
use task_workers::{ClaimedTask, TaskFailure, TaskHandler};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{
    CONTROL_VARIANT, OpportunitySummary, PassageQuery, PassageSource, PromptLibrary, SectionError, SectionPrompt,
    SectionWriter, SharedEdits, WrittenSection,
    generation_record::{GenerationRecord, ProposalWriting, RecordOutcome},
    progress_reporter::ProgressReporter,
    retry_wait::RetryWait,
    section_writer::SectionTask,
};

/// The experiment whose variants name the provider that is asked first.
const PROVIDER_EXPERIMENT: &str = "proposal-generation.provider";

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
    /// How many generations run at the same time.
    pub concurrency: usize,
    /// How long an attempt waits, in all, before sections that could not be written are tried again.
    pub max_wait: Duration,
}

impl<S: AggregateStores + 'static> TaskHandler for GenerationHandler<S> {
    fn kind(&self) -> TaskKind {
        TaskKind::GenerateProposal
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn run<'a>(
        &'a self,
        task: &'a ClaimedTask,
        cancelled: CancellationToken,
    ) -> BoxFuture<'a, Result<TaskResult, TaskFailure>> {
        async move {
            let record = GenerationRecord::from_task(&self.dispatcher, task)?;
            let generation = record.load_generation().await?;
            let run = GenerationRun::new(self, task, record, &generation);
            let outcome = run.generate(&generation, &cancelled).await;
            let label = if outcome.is_ok() { "ended" } else { "failed" };
            counter!("medhub_generation_attempts_total", "outcome" => label).increment(1);
            outcome
        }
        .boxed()
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

/// One attempt at a generation.
struct GenerationRun<'a, S> {
    handler: &'a GenerationHandler<S>,
    task: &'a ClaimedTask,
    record: GenerationRecord<'a, S>,
    proposal: ProposalId,
    progress: ProgressReporter,
}

impl<'a, S: AggregateStores> GenerationRun<'a, S> {
    fn new(
        handler: &'a GenerationHandler<S>,
        task: &'a ClaimedTask,
        record: GenerationRecord<'a, S>,
        generation: &RequestedGeneration,
    ) -> Self {
        let proposal = generation.request.proposal_id;
        let (publisher, tenant) = (Arc::clone(&handler.progress), task.tenant_id.clone());
        let progress = ProgressReporter::new(publisher, tenant, proposal, record.id());
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
        let prompt = self.handler.prompts.find(&generation.request.prompt).ok_or_else(|| {
            let version = &generation.request.prompt.version;
            tracing::error!(task.id = self.task.task_id, prompt.version = %version, "unknown version of the prompt");
            TaskFailure::later("this version of the prompt is not known here")
        })?;
        let passages = &self.handler.passages;
        let opportunity = passages.summarize_opportunity(&generation.request.opportunity_id).await;
        let opportunity = opportunity.map_err(|error| retrieval_failure(&error))?;
        let mut wait = RetryWait::new(self.handler.max_wait);
        let mut failed_micros = BTreeMap::new();
        let mut pending: Vec<&RequestedSection> = generation.pending_sections().collect();
        loop {
            let mut postponed: Vec<(&RequestedSection, SectionError)> = vec![];
            for section in pending {
                if cancelled.is_cancelled() {
                    return Err(TaskFailure::later("the generation was interrupted"));
                }
                let spent: &mut u64 = failed_micros.entry(&section.key).or_default();
                match self.generate_section(generation, section, prompt, &opportunity, spent).await? {
                    SectionPass::Recorded => {}
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

    async fn record_failure(
        &self,
        section: &RequestedSection,
        error: &SectionError,
    ) -> Result<RecordOutcome, TaskFailure> {
        let (key, reason) = (section.key.clone(), GenerationReason::from_any_text(error.user_reason()));
        let build = |stamp| ProposalGenerationCommand::RecordSectionFailure { section: key, reason, stamp };
        self.record.record(&section_step(&section.key), build).await
    }

    /// Writes and records a section. `failed_micros` is the cost of earlier passes of this attempt.
    async fn generate_section(
        &self,
        generation: &RequestedGeneration,
        section: &RequestedSection,
        prompt: &SectionPrompt,
        opportunity: &OpportunitySummary,
        failed_micros: &mut u64,
    ) -> Result<SectionPass, TaskFailure> {
        let written = self.write_section(generation, section, prompt, opportunity).await?;
        let key = section.key.clone();
        let recorded = match written {
            Ok(WrittenSection { draft, mut model }) => {
                model.cost_micros = model.cost_micros.saturating_add(*failed_micros);
                let build = |stamp| ProposalGenerationCommand::RecordSection { section: key, draft, model, stamp };
                self.record.record(&section_step(&section.key), build).await?
            }
            Err(error) => {
                let section_key = section.key.as_str();
                let reason = format_error_chain(&error);
                tracing::warn!(task.id = self.task.task_id, section = section_key, reason, "section not generated");
                if error.is_temporary() {
                    *failed_micros = failed_micros.saturating_add(error.cost_micros());
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

    async fn write_section(
        &self,
        generation: &RequestedGeneration,
        section: &RequestedSection,
        prompt: &SectionPrompt,
        opportunity: &OpportunitySummary,
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
        let section_task = SectionTask {
            passages: &passages,
            prompt: prompt.reference(),
            preferred: preferred_provider(generation, &self.handler.writer),
            now: self.record.now(),
        };
        Ok(self.handler.writer.write_section(&self.task.tenant_id, &request, section_task, &publish).await)
    }

    /// Writes the texts into the proposal and completes the generation.
    async fn finish(&self) -> Result<TaskResult, TaskFailure> {
        let generation = self.record.load_generation().await?;
        if generation.end.is_some() {
            return task_result("the generation has ended meanwhile");
        }
        let mut reasons = generation.outcomes.values().filter_map(|outcome| match outcome {
            SectionOutcome::Failed { reason } => Some(reason.as_str()),
            SectionOutcome::Generated { .. } => None,
        });
        let has_text = generation.outcomes.values().any(|outcome| matches!(outcome, SectionOutcome::Generated { .. }));
        if !has_text {
            let reason = reasons.next().unwrap_or("it has no sections");
            return Err(TaskFailure::never(&format!("no section was generated: {reason}")));
        }
        let failed = reasons.count();
        let writing = self.record.write_proposal(&generation, &*self.handler.edits).await?;
        let ended = self.record.record("end", |stamp| ProposalGenerationCommand::Complete { stamp }).await?;
        if ended == RecordOutcome::Ended {
            return task_result("the generation ended while its texts were written into the proposal");
        }
        task_result(&describe_result(&writing, failed))
    }
}

/// The key of a section's step. It cannot be equal to that of another step, which has no colon.
fn section_step(key: &SectionKey) -> String {
    format!("section:{key}")
}

/// The provider to ask first, by the company's variant; `None` for the configured order.
fn preferred_provider<'a>(generation: &'a RequestedGeneration, writer: &SectionWriter) -> Option<&'a str> {
    let mut assignments = generation.request.assignments.iter();
    let assigned = assignments.find(|assignment| assignment.experiment.as_str() == PROVIDER_EXPERIMENT)?;
    let variant = Some(assigned.variant.as_str()).filter(|variant| *variant != CONTROL_VARIANT)?;
    if !writer.has_provider(variant) {
        tracing::warn!(
            variant,
            "a variant of {PROVIDER_EXPERIMENT} names no configured provider, the order is that of control"
        );
        return None;
    }
    Some(variant)
}

fn retrieval_failure(error: &crate::RetrievalError) -> TaskFailure {
    tracing::warn!(reason = format_error_chain(error), "no passages for a generation");
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
