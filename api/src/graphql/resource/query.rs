//! Reading resources; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::resource as record;
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::{ResourceKindEnum, ResourceNode};
use crate::graphql::{
    command_dispatch::reading_tenant,
    error,
    history::{self, AggregateHistory, PastMoment},
    pagination::{self, NodeConnection},
    read_models,
};

/// What a company keeps to use again.
#[derive(Default)]
pub(in crate::graphql) struct ResourceQuery;

#[Object]
impl ResourceQuery {
    /// A resource of your company; null where it has none with that id.
    async fn resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "As it was then; by default as it is.")] as_of: Option<PastMoment>,
    ) -> Result<Option<ResourceNode>> {
        let (tenant, id) = (reading_tenant(ctx)?, id.to_string());
        let found = history::load_as_of(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| ResourceNode::from_stored(id, kept)))
    }

    /// What happened to a resource of your company, the oldest first; nothing where it has none with that id.
    async fn resource_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Resource>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }

    /// The resources of your company, the newest first.
    async fn resources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those of this kind.")] kind: Option<ResourceKindEnum>,
    ) -> Result<NodeConnection<ResourceNode>> {
        let (tenant, first, after) = (
            reading_tenant(ctx)?,
            pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?,
            pagination::parse_cursor(after)?,
        );
        let group = kind.map_or_else(ListGroup::all, |kind| ListGroup::status(record::ResourceKind::from(kind).name()));
        let workspace = read_models::from_context(ctx)?.tenant_views().await?;
        let found = workspace
            .list_aggregates(tenant, &group, first, after.as_ref())
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(NodeConnection::new(found, after.is_some(), ResourceNode::from_stored))
    }
}
