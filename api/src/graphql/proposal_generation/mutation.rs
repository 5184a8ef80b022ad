//! Mutations of generations of proposals.

use async_graphql::{Context, InputObject, Object, Result};
use domain::{
    feature_flag::KnownExperiment,
    proposal::{PlannedSection, Proposal, SectionKey},
    proposal_generation::{
        AssignedVariant, ExperimentAssignment, ExperimentName, GenerationId, GenerationReason, GenerationRequest,
        GenerationStatus, ProposalGeneration, ProposalGenerationCommand, RatingNote, SectionPlanError, plan_sections,
    },
    value::{InvalidValue, ProposalId, TenantId},
};
use proposal_generation::{CONTROL_VARIANT, SectionPrompt};
use uuid::Uuid;

use super::node::UserRatingEnum;
use crate::{
    app_context::AppContext,
    generation_slots::GenerationSlots,
    graphql::{
        command_dispatch::{ChangeOutcome, dispatch_command, new_id, request_identity},
        error,
        input_validation::{parse_optional, parse_value},
        precondition::{self, PreconditionsInput},
    },
    tenant_commands,
};

/// The experiments whose variants a generation records.
const EXPERIMENTS: [KnownExperiment; 2] = [KnownExperiment::ProposalProvider, KnownExperiment::ProposalPrompt];

/// Mutations of generations of proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalGenerationMutation;

/// A generation to request.
#[derive(InputObject)]
struct GenerateProposalInput {
    /// Id of the generation, a UUID that you choose; generated if omitted.
    id: Option<Uuid>,
    /// The proposal's id. It has to be a draft.
    proposal_id: Uuid,
    /// Keys of the sections to generate, at most 40, in the order in which they are generated. By default the sections
    /// without content; for a proposal without sections the standard ones.
    #[graphql(default)]
    sections: Vec<String>,
}

/// A rating of a generation.
#[derive(InputObject)]
struct RateGenerationInput {
    /// The generation's id.
    id: Uuid,
    /// The rating.
    rating: UserRatingEnum,
    /// A note about it, at most 2,000 characters.
    note: Option<String>,
}

#[Object]
impl ProposalGenerationMutation {
    /// Requests the generation of sections of a draft, from the company's documents, resources and past proposals and
    /// the opportunity. The sections are written into the proposal at the end, except those that a member has changed
    /// meanwhile. Requires at least the role `CONTRIBUTOR`.
    async fn generate_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The generation to request.")] input: GenerateProposalInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let selected = input.sections.iter().map(|key| parse_value("input.sections", key, SectionKey::try_new));
        let selected: Vec<_> = selected.collect::<Result<_>>()?;
        let identity = request_identity(ctx)?;
        tenant_commands::require_contributor(identity).map_err(|failure| error::command_failure(&failure))?;
        let id = new_id(ctx, "proposal generation", input.id, &conditions)?;
        let proposal_id = ProposalId::new(input.proposal_id);
        let (tenant, generation) = (identity.tenant(), GenerationId::new(id));
        let (request, is_repetition) = match plan_generation(ctx, tenant, generation, proposal_id, &selected).await? {
            Ok(planned) => planned,
            Err(refusal) => return Ok(ChangeOutcome::refused(&refusal)),
        };
        if !is_repetition && let Err(refusal) = take_slot(ctx, tenant, generation, proposal_id).await? {
            return Ok(ChangeOutcome::refused(&refusal));
        }
        let command = |stamp| ProposalGenerationCommand::Request { request, stamp };
        let outcome = dispatch_command::<ProposalGeneration>(ctx, id, &conditions, command).await?;
        if matches!(outcome, ChangeOutcome::Rejected(_)) {
            free_ended_slot(ctx, tenant, generation, true).await?;
        }
        Ok(outcome)
    }

    /// Cancels a running generation. Its sections are not written into the proposal, unless the worker is writing them
    /// at that moment, after the last one. Requires at least the role `CONTRIBUTOR`.
    async fn cancel_generation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The generation's id.")] id: Uuid,
        #[graphql(desc = "Reason, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let reason = parse_value("reason", &reason, GenerationReason::try_new)?;
        let command = |stamp| ProposalGenerationCommand::Cancel { reason, stamp };
        dispatch_command::<ProposalGeneration>(ctx, id, &conditions, command).await
    }

    /// Rates a completed generation; the last rating counts. Requires at least the role `VIEWER`.
    async fn rate_generation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rating.")] input: RateGenerationInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let (rating, note) = (input.rating.into(), parse_optional("input.note", input.note, RatingNote::try_new)?);
        let command = |stamp| ProposalGenerationCommand::Rate { rating, note, stamp };
        dispatch_command::<ProposalGeneration>(ctx, input.id, &conditions, command).await
    }
}

/// What the generation is to generate, by the proposal as it is now and the company's variants of the experiments; and
/// whether it was already requested.
async fn plan_generation(
    ctx: &Context<'_>,
    tenant: &TenantId,
    id: GenerationId,
    proposal_id: ProposalId,
    selected: &[SectionKey],
) -> Result<Result<(GenerationRequest, bool), SectionPlanError>> {
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    // A repeated request has its first outcome, whatever has become of the proposal.
    let known = app.dispatcher.load_aggregate::<ProposalGeneration>(tenant, &id.to_string()).await;
    if let Some(known) = known.map_err(|error| error::command_error(&error))?.state.as_requested()
        && known.request.has_sections_of(proposal_id, selected)
    {
        return Ok(Ok((known.request.clone(), true)));
    }
    // Record pending shared edits first, so that the plan knows which sections have content.
    let synced = app.rooms.proposal_sync().sync_now(tenant, proposal_id).await;
    synced.map_err(|error| error::unavailable(&error))?;
    let loaded = app.dispatcher.load_aggregate::<Proposal>(tenant, &proposal_id.to_string()).await;
    let proposal = loaded.map_err(|error| error::command_error(&error))?.state;

    let assignments = collect_assignments(app, tenant).map_err(|invalid| error::internal(&invalid))?;
    let variant = find_variant(&assignments, KnownExperiment::ProposalPrompt);
    let prompt = app.prompts.prompt_for_variant(variant);
    let sections = match plan_sections(&proposal, selected, &standard_sections(prompt)) {
        Ok(sections) => sections,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let Some(content) = proposal.content() else { return Ok(Err(SectionPlanError::NoSuchProposal)) };
    let (opportunity_id, prompt) = (content.opportunity_id.clone(), prompt.reference().clone());
    GenerationRequest::try_new(proposal_id, opportunity_id, sections, prompt, assignments)
        .map(|request| Ok((request, false)))
        .map_err(|reason| error::invalid_value("input.sections", &reason))
}

/// Takes one of the company's slots for running generations. If none is free, those of generations that have ended are
/// freed first.
async fn take_slot(
    ctx: &Context<'_>,
    tenant: &TenantId,
    generation: GenerationId,
    proposal: ProposalId,
) -> Result<Result<(), SectionPlanError>> {
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    let slots = GenerationSlots::new(app.pool.clone());
    let max = usize::try_from(app.max_running_generations).unwrap_or(usize::MAX);
    let taken = slots.take_slot(tenant, generation, proposal, max).await;
    if taken.map_err(|error| error::unavailable(&error))?.is_ok() {
        return Ok(Ok(()));
    }
    for held in slots.list_slots(tenant).await.map_err(|error| error::unavailable(&error))? {
        free_ended_slot(ctx, tenant, held.generation, held.is_overdue).await?;
    }
    slots.take_slot(tenant, generation, proposal, max).await.map_err(|error| error::unavailable(&error))
}

/// Frees the slot of a generation unless it is running, or is to be requested.
async fn free_ended_slot(
    ctx: &Context<'_>,
    tenant: &TenantId,
    generation: GenerationId,
    is_request_over: bool,
) -> Result<()> {
    let app = error::require_context_data(ctx.data::<AppContext>())?;
    let loaded = app.dispatcher.load_aggregate::<ProposalGeneration>(tenant, &generation.to_string()).await;
    let is_free = match loaded.map_err(|error| error::command_error(&error))?.state.status() {
        GenerationStatus::Running => false,
        GenerationStatus::Unrequested => is_request_over,
        GenerationStatus::Completed | GenerationStatus::Failed | GenerationStatus::Cancelled => true,
    };
    if !is_free {
        return Ok(());
    }
    let freed = GenerationSlots::new(app.pool.clone()).free_slot(tenant, generation).await;
    freed.map_err(|error| error::unavailable(&error))
}

/// The company's variants of the experiments that concern generations, as they are recorded: one that the settings do not
/// name has the control, so that reports compare what was used.
fn collect_assignments(app: &AppContext, tenant: &TenantId) -> Result<Vec<ExperimentAssignment>, InvalidValue> {
    let assign = |experiment: KnownExperiment| {
        let assigned = app.flags.variant(experiment.name(), tenant);
        let variant = if experiment.has_variant(assigned.as_str(), &app.configured_variants) {
            assigned.as_str()
        } else {
            let (flag, variant) = (experiment.name(), assigned.as_str());
            tracing::warn!(flag, variant, "variant of the experiment is not in the settings, it counts as control");
            CONTROL_VARIANT
        };
        Ok(ExperimentAssignment {
            experiment: ExperimentName::try_new(experiment.name())?,
            variant: AssignedVariant::try_new(variant)?,
        })
    };
    EXPERIMENTS.into_iter().map(assign).collect()
}

fn find_variant(assignments: &[ExperimentAssignment], experiment: KnownExperiment) -> &str {
    let found = assignments.iter().find(|assignment| assignment.experiment.as_str() == experiment.name());
    found.map_or(CONTROL_VARIANT, |assignment| assignment.variant.as_str())
}

fn standard_sections(prompt: &SectionPrompt) -> Vec<PlannedSection> {
    let sections = prompt.standard_sections().iter();
    sections.map(|known| PlannedSection { key: known.key.clone(), heading: known.heading.clone() }).collect()
}
