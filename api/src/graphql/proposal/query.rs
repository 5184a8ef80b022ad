//! Queries of proposals; one Redis read per query, the log for past states.

use async_graphql::{Context, Object, Result};
use domain::{opportunity::OpportunityId, proposal as record};
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::{
    history::ProposalMoment,
    node::{ProposalNode, ProposalPhaseEnum},
};
use crate::graphql::{
    command_dispatch::reading_tenant,
    error, input_validation,
    pagination::NodeConnection,
    tenant_node::{self, PageRequest},
};

/// Queries of proposals.
#[derive(Default)]
pub(in crate::graphql) struct ProposalQuery;

#[Object]
impl ProposalQuery {
    /// A proposal of your company; null if it has none with that id.
    async fn proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The proposal's id.")] id: Uuid,
        #[graphql(desc = "A past state to read; the current one by default.")] as_of: Option<ProposalMoment>,
    ) -> Result<Option<ProposalNode>> {
        tenant_node::load_node(ctx, reading_tenant(ctx)?, id, as_of).await
    }

    /// The proposals of your company, newest first.
    async fn proposals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only proposals in this phase.")] phase: Option<ProposalPhaseEnum>,
        #[graphql(desc = "Only proposals for this opportunity; cannot be combined with `phase`.")]
        opportunity_id: Option<String>,
    ) -> Result<NodeConnection<ProposalNode>> {
        let (tenant, page) = (reading_tenant(ctx)?, PageRequest::parse(first, after)?);
        let group = match (phase, opportunity_id) {
            (None, None) => ListGroup::all(),
            (Some(phase), None) => ListGroup::named(record::LifecyclePhase::from(phase).name()),
            (None, Some(id)) => ListGroup::opportunity(&parse_about_opportunity(&id)?),
            (Some(_), Some(_)) => {
                return Err(error::invalid_field("opportunityId", "it cannot be combined with phase".to_owned()));
            }
        };
        tenant_node::list_nodes(ctx, tenant, &group, page).await
    }
}

fn parse_about_opportunity(id: &str) -> Result<OpportunityId> {
    input_validation::parse_opportunity_id("opportunityId", id)
}
