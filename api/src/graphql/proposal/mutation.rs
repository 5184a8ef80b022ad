//! Changing proposals.

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
        command_dispatch::{self, ChangeOutcome, dispatch_command, new_id},
        error,
        input_validation::{self, parse_optional, parse_value},
        precondition::{self, PreconditionsInput},
    },
};

/// Changes proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalMutation;

/// A proposal to begin.
#[derive(InputObject)]
struct DraftProposalInput {
    /// Its id, a UUID of yours; one is made where none is given.
    id: Option<Uuid>,
    /// The opportunity that it is to win.
    opportunity_id: String,
    /// What it is called, at most 300 characters.
    title: String,
    /// The sections that are planned, at most 100.
    #[graphql(default)]
    outline: Vec<PlannedSectionInput>,
}

/// A section to write.
#[derive(InputObject)]
struct PlannedSectionInput {
    /// Its short name: lower-case letters, digits and hyphens, at most 60.
    key: String,
    /// What it is called, at most 300 characters.
    heading: String,
}

/// What a section is to be.
#[derive(InputObject)]
struct EditProposalSectionInput {
    /// The proposal.
    proposal_id: Uuid,
    /// The section by its key; a new one is added behind the others.
    section: String,
    /// What it is to be called, at most 300 characters.
    heading: String,
    /// What it is to say, at most 100,000 characters.
    content: String,
    /// The revision that you have seen; 0 for a new or planned one. If it is another one now, nothing is changed.
    based_on: u32,
}

/// A remark to make.
#[derive(InputObject)]
struct CommentOnProposalInput {
    /// The proposal.
    proposal_id: Uuid,
    /// The remark's id, a UUID of yours; one is made where none is given.
    comment_id: Option<Uuid>,
    /// The section that it is about; the whole proposal where none is named.
    section: Option<String>,
    /// What it says, at most 5,000 characters.
    text: String,
}

/// How an agency decided.
#[derive(InputObject)]
struct ProposalOutcomeInput {
    /// The proposal.
    proposal_id: Uuid,
    /// Whether the agency chose it.
    won: bool,
    /// What the contract is worth, in cents.
    amount: Option<CentsScalar>,
    /// Why it was decided so, at most 2,000 characters.
    reason: Option<String>,
}

#[Object]
impl ProposalMutation {
    /// Begin a proposal; contributors may.
    async fn draft_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] input: DraftProposalInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let opportunity_id = input_validation::parse_opportunity_id("input.opportunityId", &input.opportunity_id)?;
        let title = parse_value("input.title", &input.title, ProposalTitle::try_new)?;
        let planned = |planned: PlannedSectionInput| {
            let key = parse_value("input.outline.key", &planned.key, SectionKey::try_new)?;
            Ok((key, parse_value("input.outline.heading", &planned.heading, SectionHeading::try_new)?))
        };
        let sections: Vec<_> = input.outline.into_iter().map(planned).collect::<Result<_>>()?;
        let outline =
            ProposalOutline::try_new(sections).map_err(|reason| error::invalid_value("input.outline", &reason))?;
        let id = new_id(ctx, "proposal", input.id, &conditions)?;
        dispatch_command::<Proposal>(ctx, id, &conditions, |stamp| ProposalCommand::Draft {
            opportunity_id,
            title,
            outline,
            stamp,
        })
        .await
    }

    /// Write a section; contributors may, while it is a draft.
    async fn edit_proposal_section(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The section.")] input: EditProposalSectionInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
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

    /// Take a section out; contributors may, while it is a draft.
    async fn remove_proposal_section(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "The section by its key.")] section: String,
        #[graphql(desc = "The revision that you have seen.")] based_on: u32,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let section = parse_value("section", &section, SectionKey::try_new)?;
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let remove = |stamp| ProposalCommand::RemoveSection { section, based_on, stamp };
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, remove).await
    }

    /// Remark something; contributors may, until it is handed in.
    async fn comment_on_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The remark.")] input: CommentOnProposalInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let section = parse_optional("input.section", input.section, SectionKey::try_new)?;
        let text = parse_value("input.text", &input.text, CommentText::try_new)?;
        let comment_id = CommentId::new(new_id(ctx, "comment", input.comment_id, &conditions)?);
        let comment = |stamp| ProposalCommand::Comment { comment_id, section, text, stamp };
        dispatch_command::<Proposal>(ctx, input.proposal_id, &conditions, comment).await
    }

    /// Note that a remark was dealt with; contributors may.
    async fn resolve_proposal_comment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "The remark.")] comment_id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, comment_id) =
            (precondition::parse_preconditions(ctx, conditions)?, CommentId::new(comment_id));
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::ResolveComment {
            comment_id,
            stamp,
        })
        .await
    }

    /// Have somebody else look at a draft; contributors may.
    async fn submit_proposal_for_review(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        // What was written together up to now is looked at, too.
        let (stores, tenant) =
            (error::require_context_data(ctx.data::<AppContext>())?, command_dispatch::request_identity(ctx)?.tenant());
        let settled = stores.rooms.proposal_sync().sync_now(tenant, ProposalId::new(proposal_id)).await;
        settled.map_err(|error| error::unavailable(&error))?;
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::SubmitForReview { stamp })
            .await
    }

    /// End a review in its favour; managers may, but for their own.
    async fn approve_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "What there is to say, at most 5,000 characters.")] note: Option<String>,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, note) =
            (precondition::parse_preconditions(ctx, conditions)?, parse_optional("note", note, ReviewNote::try_new)?);
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Approve { note, stamp })
            .await
    }

    /// Send it back to its writers; managers may, but for their own.
    async fn reject_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "Why, at most 5,000 characters.")] note: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, note) =
            (precondition::parse_preconditions(ctx, conditions)?, parse_value("note", &note, ReviewNote::try_new)?);
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Reject { note, stamp })
            .await
    }

    /// Note that an approved one was handed in; managers may.
    async fn submit_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "How the agency confirmed it, at most 500 characters.")] confirmation: Option<String>,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        let confirmation = parse_optional("confirmation", confirmation, SubmissionConfirmation::try_new)?;
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Submit {
            confirmation,
            stamp,
        })
        .await
    }

    /// Note how the agency decided; managers may.
    async fn record_proposal_outcome(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The decision.")] input: ProposalOutcomeInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
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

    /// Give it up; managers may, until the agency has decided.
    async fn withdraw_proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal.")] proposal_id: Uuid,
        #[graphql(desc = "Why, at most 2,000 characters.")] reason: String,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, reason) = (
            precondition::parse_preconditions(ctx, conditions)?,
            parse_value("reason", &reason, WithdrawalReason::try_new)?,
        );
        dispatch_command::<Proposal>(ctx, proposal_id, &conditions, |stamp| ProposalCommand::Withdraw { reason, stamp })
            .await
    }
}
