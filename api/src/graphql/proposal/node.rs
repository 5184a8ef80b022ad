//! What a frontend sees of a proposal.

use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject, dataloader::DataLoader};
use chrono::{DateTime, Utc};
use domain::proposal::{self as record, LifecyclePhase};
use projections::tenant_views::StoredAggregate;
use uuid::Uuid;

use crate::graphql::{
    cents::CentsScalar, error, opportunity::OpportunityNode, opportunity_loader::OpportunityLoader, read_models,
};

/// How far a proposal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProposalPhase", remote = "LifecyclePhase")]
pub(super) enum ProposalPhaseEnum {
    /// Nobody has begun it.
    Unwritten,
    /// It is written.
    Draft,
    /// Somebody else looks at it.
    InReview,
    /// It may be handed in.
    Approved,
    /// It was handed in.
    Submitted,
    /// The agency chose it.
    Won,
    /// The agency chose another, or none.
    Lost,
    /// The company gave it up.
    Withdrawn,
}

/// What a company writes to win an opportunity.
#[derive(SimpleObject)]
#[graphql(name = "Proposal", complex)]
pub(super) struct ProposalNode {
    /// Its id.
    id: String,
    /// How many changes are on record; grows with each.
    version: u64,
    /// How far it is.
    phase: ProposalPhaseEnum,
    /// What it is called.
    title: String,
    /// The opportunity that it is to win.
    opportunity_id: String,
    /// Its sections, in their order.
    sections: Vec<ProposalSectionNode>,
    /// What is said about it, the oldest first.
    comments: Vec<ProposalCommentNode>,
    /// What the last reviewer said.
    review: Option<String>,
    /// How the agency confirmed that it was handed in.
    confirmation: Option<String>,
    /// How the agency decided.
    outcome: Option<ProposalDecisionNode>,
    /// When it was begun.
    created_at: DateTime<Utc>,
    /// Who began it.
    created_by: String,
    /// When it was changed last.
    updated_at: DateTime<Utc>,
    /// Who changed it last.
    updated_by: String,
}

#[ComplexObject]
impl ProposalNode {
    /// The opportunity that it is to win; null where nothing is on record about it.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<OpportunityNode>> {
        // Waits until the views have come as far as the document wants, once for all.
        read_models::from_context(ctx)?.opportunity_views().await?;
        let loader = error::require_context_data(ctx.data::<DataLoader<OpportunityLoader>>())?;
        loader.load_one(self.opportunity_id.clone()).await.map_err(|error| error::loader_error(&error))
    }
}

/// A part of a proposal.
#[derive(SimpleObject)]
#[graphql(name = "ProposalSection")]
struct ProposalSectionNode {
    /// Its short name, which stays when its heading changes.
    key: String,
    /// What it is called.
    heading: String,
    /// What it says; null where it was only planned.
    content: Option<String>,
    /// Grows with each edit; an edit names the one that it is based on.
    revision: u32,
}

/// A remark.
#[derive(SimpleObject)]
#[graphql(name = "ProposalComment")]
struct ProposalCommentNode {
    /// Its id.
    id: Uuid,
    /// The section that it is about; the whole proposal where none is named.
    section: Option<String>,
    /// What it says.
    text: String,
    /// Whether it was dealt with.
    resolved: bool,
    /// Who made it.
    author: String,
    /// When.
    at: DateTime<Utc>,
}

/// How an agency decided.
#[derive(SimpleObject)]
#[graphql(name = "ProposalDecision")]
struct ProposalDecisionNode {
    /// Whether for the proposal.
    won: bool,
    /// What the contract is worth, where that is known.
    amount: Option<CentsScalar>,
    /// Why it was decided so, where that is known.
    reason: Option<String>,
}

impl ProposalNode {
    /// The view of a proposal that was begun.
    pub(super) fn from_stored(id: String, kept: StoredAggregate<record::Proposal>) -> Option<Self> {
        let manuscript = kept.state.content()?.clone();
        let section = |section: record::Section| ProposalSectionNode {
            key: section.key.to_string(),
            heading: section.heading.to_string(),
            content: section.content.map(|content| content.to_string()),
            revision: section.revision,
        };
        let comment = |comment: record::ReviewComment| {
            Some(ProposalCommentNode {
                id: comment.comment_id.to_string().parse().ok()?,
                section: comment.section.map(|key| key.to_string()),
                text: comment.text.to_string(),
                resolved: comment.resolved,
                author: comment.stamp.by.to_string(),
                at: comment.stamp.at,
            })
        };
        let outcome =
            if let record::Proposal::Decided { outcome, .. } = &kept.state { Some(outcome.clone()) } else { None };
        Some(Self {
            id,
            version: kept.version,
            phase: kept.state.phase().into(),
            title: manuscript.title.to_string(),
            opportunity_id: manuscript.opportunity_id.to_string(),
            sections: manuscript.sections.into_iter().map(section).collect(),
            comments: manuscript.comments.into_iter().filter_map(comment).collect(),
            review: manuscript.review.map(|review| review.to_string()),
            confirmation: manuscript.confirmation.map(|confirmation| confirmation.to_string()),
            outcome: outcome.map(|outcome| ProposalDecisionNode {
                won: outcome.verdict == record::AgencyDecision::Won,
                amount: outcome.amount.map(|amount| CentsScalar(amount.0)),
                reason: outcome.reason.map(|reason| reason.to_string()),
            }),
            created_at: kept.created_at,
            created_by: kept.created_by,
            updated_at: kept.updated_at,
            updated_by: kept.updated_by,
        })
    }
}
