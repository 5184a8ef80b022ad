//! The proposal as clients see it.

use async_graphql::{ComplexObject, Context, Enum, Result, SimpleObject};
use chrono::{DateTime, Utc};
use domain::proposal::{self as record, LifecyclePhase};
use projections::tenant_views::StoredAggregate;
use uuid::Uuid;

use crate::graphql::{cents::CentsScalar, error, opportunity::OpportunityNode, read_models, tenant_node::TenantNode};

/// Phase of a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "ProposalPhase", remote = "LifecyclePhase")]
pub(super) enum ProposalPhaseEnum {
    /// Not created yet.
    Unwritten,
    /// Being written.
    Draft,
    /// Under review.
    InReview,
    /// Approved for submission.
    Approved,
    /// Submitted to the agency.
    Submitted,
    /// Chosen by the agency.
    Won,
    /// Not chosen: the agency chose another proposal or none.
    Lost,
    /// Withdrawn by the company.
    Withdrawn,
}

/// A company's proposal for an opportunity.
#[derive(SimpleObject)]
#[graphql(name = "Proposal", complex)]
pub(super) struct ProposalNode {
    /// Id.
    id: String,
    /// Version: the number of recorded changes.
    version: u64,
    /// Phase.
    phase: ProposalPhaseEnum,
    /// Title.
    title: String,
    /// Id of the opportunity that the proposal answers.
    opportunity_id: String,
    /// Sections, in order.
    sections: Vec<ProposalSectionNode>,
    /// Comments, oldest first.
    comments: Vec<ProposalCommentNode>,
    /// Note of the last reviewer.
    review: Option<String>,
    /// The agency's confirmation of the submission.
    confirmation: Option<String>,
    /// The agency's decision.
    outcome: Option<ProposalDecisionNode>,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// Who created it.
    created_by: String,
    /// When it was last changed.
    updated_at: DateTime<Utc>,
    /// Who last changed it.
    updated_by: String,
}

#[ComplexObject]
impl ProposalNode {
    /// The opportunity that the proposal answers; null if it is not recorded.
    async fn opportunity(&self, ctx: &Context<'_>) -> Result<Option<OpportunityNode>> {
        let loader = read_models::from_context(ctx)?.opportunity_loader().await?;
        loader.load_one(self.opportunity_id.clone()).await.map_err(|error| error::loader_error(&error))
    }
}

/// A section of a proposal.
#[derive(SimpleObject)]
#[graphql(name = "ProposalSection")]
struct ProposalSectionNode {
    /// Key; unchanged when the heading changes.
    key: String,
    /// Heading.
    heading: String,
    /// Content; null while the section is only planned.
    content: Option<String>,
    /// Revision; grows with each edit. An edit states the revision that it is based on.
    revision: u32,
}

/// A comment on a proposal.
#[derive(SimpleObject)]
#[graphql(name = "ProposalComment")]
struct ProposalCommentNode {
    /// Id.
    id: Uuid,
    /// Key of the section that the comment is about; null for the whole proposal.
    section: Option<String>,
    /// Text.
    text: String,
    /// Whether it is resolved.
    resolved: bool,
    /// Author.
    author: String,
    /// When it was made.
    at: DateTime<Utc>,
}

/// An agency's decision.
#[derive(SimpleObject)]
#[graphql(name = "ProposalDecision")]
struct ProposalDecisionNode {
    /// Whether the agency chose the proposal.
    won: bool,
    /// Contract value, if known.
    amount: Option<CentsScalar>,
    /// Reason for the decision, if known.
    reason: Option<String>,
}

impl TenantNode for ProposalNode {
    type Aggregate = record::Proposal;

    fn from_stored(id: String, stored: StoredAggregate<Self::Aggregate>) -> Option<Self> {
        let content = stored.state.content()?.clone();
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
            if let record::Proposal::Decided { outcome, .. } = &stored.state { Some(outcome.clone()) } else { None };
        Some(Self {
            id,
            version: stored.version,
            phase: stored.state.phase().into(),
            title: content.title.to_string(),
            opportunity_id: content.opportunity_id.to_string(),
            sections: content.sections.into_iter().map(section).collect(),
            comments: content.comments.into_iter().filter_map(comment).collect(),
            review: content.review.map(|review| review.to_string()),
            confirmation: content.confirmation.map(|confirmation| confirmation.to_string()),
            outcome: outcome.map(|outcome| ProposalDecisionNode {
                won: outcome.verdict == record::AgencyDecision::Won,
                amount: outcome.amount.map(|amount| CentsScalar(amount.0)),
                reason: outcome.reason.map(|reason| reason.to_string()),
            }),
            created_at: stored.created_at,
            created_by: stored.created_by,
            updated_at: stored.updated_at,
            updated_by: stored.updated_by,
        })
    }
}
