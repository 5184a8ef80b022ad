//! Reading proposals; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::{opportunity::OpportunityId, proposal as record};
use projections::workspace::Group;
use uuid::Uuid;

use super::{
    past::ProposalMoment,
    view::{Proposal, ProposalPhase},
};
use crate::graphql::{
    error, input,
    outcome::reader,
    page::{self, Connection},
    past, reading,
};

/// What a company writes.
#[derive(Default)]
pub(in crate::graphql) struct ProposalQuery;

#[Object]
impl ProposalQuery {
    /// A proposal of your company; null where it has none with that id.
    async fn proposal(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "As it was then; by default as it is.")] as_of: Option<ProposalMoment>,
    ) -> Result<Option<Proposal>> {
        let (tenant, id) = (reader(ctx)?, id.to_string());
        let found = past::now_or_then(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| Proposal::of(id, kept)))
    }

    /// The proposals of your company, the newest first.
    async fn proposals(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that are that far.")] phase: Option<ProposalPhase>,
        #[graphql(desc = "Only those about this opportunity; cannot be combined with `phase`.")] opportunity_id: Option<
            String,
        >,
    ) -> Result<Connection<Proposal>> {
        let (tenant, first, after) = (reader(ctx)?, page::size(first, page::DEFAULT)?, page::cursor(after)?);
        let group = match (phase, opportunity_id) {
            (None, None) => Group::all(),
            (Some(phase), None) => Group::status(record::Phase::from(phase).name()),
            (None, Some(id)) => Group::opportunity(&about(&id)?),
            (Some(_), Some(_)) => {
                return Err(error::invalid_field("opportunityId", "it cannot be combined with phase".to_owned()));
            }
        };
        let workspace = reading::of(ctx)?.workspace().await?;
        let found =
            workspace.list(tenant, &group, first, after.as_ref()).await.map_err(|error| error::query(&error))?;
        Ok(Connection::new(found, after.is_some(), Proposal::of))
    }
}

fn about(id: &str) -> Result<OpportunityId> {
    input::id("opportunityId", id)
}
