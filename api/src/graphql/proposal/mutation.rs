//! Mutations of proposals.

use async_graphql::{Context, InputObject, Object, Result};
use domain::{
    opportunity::UsdCents as Amount,
    proposal::{
        AgencyDecision, CommentId, CommentText, DecisionReason, Proposal, ProposalCommand, ProposalOutcome as Decision,
        ProposalOutline, ProposalTitle, ReviewNote, SectionChange, SectionContent, SectionHeading, SectionKey,
        SubmissionConfirmation, WithdrawalReason,
    },
    value::ProposalId,
};
use uuid::Uuid;

use crate::{
    app_context::AppContext,
    graphql::{
        cents::CentsScalar,
        command_dispatch::{self, ChangeOutcome, dispatch_command, new_aggregate_id, new_id},
        error,
        input_validation::{self, parse_optional, parse_value},
        precondition::{self, PreconditionsInput},
    },
};

/// Mutations of proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalMutation;

/// A proposal to create.
#[derive(InputObject)]
struct DraftProposalInput {
    /// Id, a UUID that you choose; generated if omitted.
    id: Option<Uuid>,
    /// Id of the opportunity that the proposal answers.
    opportunity_id: String,
    /// Title, at most 300 characters.
    title: String,
    /// Planned sections, at most 100.
    #[graphql(default)]
    outline: Vec<PlannedSectionInput>,
}

/// A planned section.
#[derive(InputObject)]
struct PlannedSectionInput {
    /// Key: lower-case letters, digits and hyphens, at most 60 characters.
    key: String,
    /// Heading, at most 300 characters.
    heading: String,
}

/// The new content of a section.
#[derive(InputObject)]
struct EditProposalSectionInput {
    /// The proposal's id.
    proposal_id: Uuid,
    /// Key of the section; an unknown key adds a section at the end.
    section: String,
    /// Heading, at most 300 characters.
    heading: String,
    /// Content, at most 100,000 characters.
    content: String,
    /// The revision that the edit is based on; 0 for a new or planned section. If the current revision differs, nothing
    /// changes.
    based_on: u32,
}

/// A comment to add.
#[derive(InputObject)]
struct CommentOnProposalInput {
    /// The proposal's id.
    proposal_id: Uuid,
    /// The comment's id, a UUID that you choose; generated if omitted.
    comment_id: Option<Uuid>,
    /// Key of the section that the comment is about; omit it for the whole proposal.
    section: Option<String>,
    /// Text, at most 5,000 characters.
    text: String,
}

/// An agency's decision.
#[derive(InputObject)]
struct ProposalOutcomeInput {
    /// The proposal's id.
    proposal_id: Uuid,
    /// Whether the agency chose the proposal.
    won: bool,
    /// Contract value.
    amount: Option<CentsScalar>,
    /// Reason for the decision, at most 2,000 characters.
    reason: Option<String>,
}

#[Object]
impl ProposalMutation {
    /// Creates a proposal. Requires at least the role `CONTRIBUTOR`.
    async fn draft_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal to create.")] input: DraftProposalInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let mut conditions = precondition::parse_preconditions(ctx, conditions)?;
        let opportunity_id = input_validation::parse_opportunity_id("input.opportunityId", &input.opportunity_id)?;
        let title = parse_value("input.title", &input.title, ProposalTitle::try_new)?;
        let planned = |planned: PlannedSectionInput| {
            let key = parse_value("input.outline.key", &planned.key, SectionKey::try_new)?;
            Ok((key, parse_value("input.outline.heading", &planned.heading, SectionHeading::try_new)?))
        };
        let sections: Vec<_> = input.outline.into_iter().map(planned).collect::<Result<_>>()?;
        let outline =
            ProposalOutline::try_new(sections).map_err(|reason| error::invalid_value("input.outline", &reason))?;
        let id = new_aggregate_id(ctx, "proposal", input.id, &mut conditions)?;
        dispatch_command::<Proposal>(ctx, id, &conditions, |stamp| ProposalCommand::Draft {
            opportunity_id,
            title,
            outline,
            stamp,
        })
        .await
    }

    /// Writes a section of a draft. Requires at least the role `CONTRIBUTOR`.
    async fn edit_proposal_section(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The section's new content.")] input: EditProposalSectionInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let edit = SectionChange {
            section: parse_value("input.section", &input.section, SectionKey::try_new)?,
            heading: parse_value("input.heading", &input.heading, SectionHeading::try_new)?,
            content: parse_value("input.content", &input.content, SectionContent::try_new)?,
            based_on: input.based_on,
        };
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        dispatch_command::<Proposal>(ctx, input.proposal_id, &conditions, |stamp| ProposalCommand::EditSection {
            edit,
            stamp,
        })
        .await
    }

    /// Removes a section from a draft. Requires at least the role `CONTRIBUTOR`.
    async fn remove_proposal_section(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "The section's key.")] section: String,
        #[graphql(desc = "The revision that you last read.")] based_on: u32,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let section = parse_value("section", &section, SectionKey::try_new)?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let remove = |stamp| ProposalCommand::RemoveSection { section, based_on, stamp };
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, remove).await
    }

    /// Adds a comment, until the proposal is submitted. Requires at least the role `CONTRIBUTOR`.
    async fn comment_on_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The comment to add.")] input: CommentOnProposalInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let section = parse_optional("input.section", input.section, SectionKey::try_new)?;
        let text = parse_value("input.text", &input.text, CommentText::try_new)?;
        let comment_id = CommentId::new(new_id(ctx, "comment", input.comment_id, &conditions)?);
        let comment = |stamp| ProposalCommand::Comment { comment_id, section, text, stamp };
        dispatch_command::<Proposal>(ctx, input.proposal_id, &conditions, comment).await
    }

    /// Marks a comment as resolved. Requires at least the role `CONTRIBUTOR`.
    async fn resolve_proposal_comment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "The comment's id.")] comment_id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, comment_id) =
            (precondition::parse_preconditions(ctx, conditions)?, CommentId::new(comment_id));
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::ResolveComment {
            comment_id,
            stamp,
        })
        .await
    }

    /// Submits a draft for review by another member. Requires at least the role `CONTRIBUTOR`.
    async fn submit_proposal_for_review(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        // Record pending shared edits first, so that the review covers them.
        let (app, tenant) =
            (error::require_context_data(ctx.data::<AppContext>())?, command_dispatch::request_identity(ctx)?.tenant());
        let synced = app.rooms.proposal_sync().sync_now(tenant, ProposalId::new(proposal_id)).await;
        synced.map_err(|error| error::unavailable(&error))?;
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::SubmitForReview { stamp })
            .await
    }

    /// Approves a proposal under review. Requires at least the role `MANAGER`; not allowed to the member who submitted
    /// it.
    async fn approve_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "Note of the reviewer, at most 5,000 characters.")] note: Option<String>,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, note) =
            (precondition::parse_preconditions(ctx, conditions)?, parse_optional("note", note, ReviewNote::try_new)?);
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Approve { note, stamp })
            .await
    }

    /// Rejects a proposal under review and makes it a draft again. Requires at least the role `MANAGER`; not allowed to
    /// the member who submitted it.
    async fn reject_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "Reason, at most 5,000 characters.")] note: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, note) =
            (precondition::parse_preconditions(ctx, conditions)?, parse_value("note", &note, ReviewNote::try_new)?);
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Reject { note, stamp })
            .await
    }

    /// Records that an approved proposal was submitted to the agency. Requires at least the role `MANAGER`.
    async fn submit_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "The agency's confirmation, at most 500 characters.")] confirmation: Option<String>,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let confirmation = parse_optional("confirmation", confirmation, SubmissionConfirmation::try_new)?;
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Submit {
            confirmation,
            stamp,
        })
        .await
    }

    /// Records the agency's decision. Requires at least the role `MANAGER`.
    async fn record_proposal_outcome(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The agency's decision.")] input: ProposalOutcomeInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let outcome = Decision {
            verdict: if input.won { AgencyDecision::Won } else { AgencyDecision::Lost },
            amount: input.amount.map(|CentsScalar(amount)| Amount(amount)),
            reason: parse_optional("input.reason", input.reason, DecisionReason::try_new)?,
        };
        let record = |stamp| ProposalCommand::RecordOutcome { outcome, stamp };
        dispatch_command::<Proposal>(ctx, input.proposal_id, &conditions, record).await
    }

    /// Withdraws a proposal, until the agency has decided. Requires at least the role `MANAGER`.
    async fn withdraw_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "Reason, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, reason) = (
            precondition::parse_preconditions(ctx, conditions)?,
            parse_value("reason", &reason, WithdrawalReason::try_new)?,
        );
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Withdraw { reason, stamp })
            .await
    }
}
