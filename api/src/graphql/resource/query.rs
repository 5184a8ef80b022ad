//! Queries of resources; one Redis read per query, the log for past states.

use async_graphql::{Context, Object, Result};
use domain::resource as record;
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::{ResourceKindEnum, ResourceNode};
use crate::graphql::{
    command_dispatch::reading_tenant,
    history::{self, AggregateHistory, PastMoment},
    pagination::NodeConnection,
    tenant_node::{self, PageRequest},
};

/// Queries of resources.
#[derive(Default)]
pub(in crate::graphql) struct ResourceQuery;

#[Object]
impl ResourceQuery {
    /// A resource of your company; null if it has none with that id.
    async fn resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's id.")] id: Uuid,
        #[graphql(desc = "A past state to read; the current one by default.")] as_of: Option<PastMoment>,
    ) -> Result<Option<ResourceNode>> {
        tenant_node::load_node(ctx, reading_tenant(ctx)?, id, as_of).await
    }

    /// Recorded changes of a resource of your company, oldest first; empty if it has none with that id.
    async fn resource_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's id.")] id: Uuid,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Resource>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }

    /// The resources of your company, newest first.
    async fn resources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only resources of this kind.")] kind: Option<ResourceKindEnum>,
    ) -> Result<NodeConnection<ResourceNode>> {
        let (tenant, page) = (reading_tenant(ctx)?, PageRequest::parse(first, after)?);
        let group = kind.map_or_else(ListGroup::all, |kind| ListGroup::named(record::ResourceKind::from(kind).name()));
        tenant_node::list_nodes(ctx, tenant, &group, page).await
    }
}
