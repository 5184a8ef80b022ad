//! Queries of generations of proposals; one Redis read per query, the log for past states.

use async_graphql::{Context, Object, Result};
use domain::{proposal_generation as record, task::SubjectKind};
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::ProposalGenerationNode;
use crate::graphql::{
    command_dispatch::reading_tenant,
    error,
    history::{self, AggregateHistory, PastMoment},
    pagination::{self, NodeConnection},
    read_models,
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
        let (tenant, id) = (reading_tenant(ctx)?, id.to_string());
        let found = history::load_as_of(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|stored| ProposalGenerationNode::from_stored(id, stored)))
    }

    /// The generations of a proposal of your company, newest first, with all their texts.
    async fn proposal_generations(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] proposal_id: Uuid,
        #[graphql(desc = "Page size, 1 to 20; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
    ) -> Result<NodeConnection<ProposalGenerationNode>> {
        let (tenant, first, after) =
            (reading_tenant(ctx)?, pagination::parse_small_page_size(first)?, pagination::parse_cursor(after)?);
        let group = ListGroup::subject(SubjectKind::Proposal.name(), &proposal_id.to_string());
        let tenant_views = read_models::from_context(ctx)?.tenant_views().await?;
        let found = tenant_views
            .list_aggregates(tenant, &group, first, after.as_ref())
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(NodeConnection::new(found, after.is_some(), ProposalGenerationNode::from_stored))
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
