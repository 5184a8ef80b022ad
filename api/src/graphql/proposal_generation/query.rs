//! Queries of generations of proposals; one Redis read per query, the log for past states.

use async_graphql::{Context, Object, Result};
use domain::{proposal_generation as record, task::SubjectKind};
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::ProposalGenerationNode;
use crate::graphql::{
    command_dispatch::reading_tenant,
    history::{self, AggregateHistory, PastMoment},
    pagination::NodeConnection,
    tenant_node::{self, PageRequest},
};

/// Queries of generations of proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalGenerationQuery;

#[Object]
impl ProposalGenerationQuery {
    /// A generation of your company; null if it has none with that id.
    async fn proposal_generation(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The generation's id.")] id: Uuid,
        #[graphql(desc = "A past state to read; the current one by default.")] as_of: Option<PastMoment>,
    ) -> Result<Option<ProposalGenerationNode>> {
        tenant_node::load_node(ctx, reading_tenant(ctx)?, id, as_of).await
    }

    /// The generations of a proposal of your company, newest first, with all their texts.
    async fn proposal_generations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "Page size, 1 to 20; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
    ) -> Result<NodeConnection<ProposalGenerationNode>> {
        let (tenant, page) = (reading_tenant(ctx)?, PageRequest::parse_small(first, after)?);
        let group = ListGroup::subject(SubjectKind::Proposal.name(), &proposal_id.to_string());
        tenant_node::list_nodes(ctx, tenant, &group, page).await
    }

    /// Recorded changes of a generation of your company, oldest first; empty if it has none with that id.
    async fn proposal_generation_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The generation's id.")] id: Uuid,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::ProposalGeneration>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }
}
