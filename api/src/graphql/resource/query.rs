//! Reading resources; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::resource as record;
use projections::workspace::Group;
use uuid::Uuid;

use super::view::{Resource, ResourceKind};
use crate::graphql::{
    error,
    outcome::reader,
    page::{self, Connection},
    past::{self, History, PastMoment},
    reading,
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
    ) -> Result<Option<Resource>> {
        let (tenant, id) = (reader(ctx)?, id.to_string());
        let found = past::now_or_then(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| Resource::of(id, kept)))
    }

    /// What happened to a resource of your company, the oldest first; nothing where it has none with that id.
    async fn resource_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<History<record::Resource>> {
        past::history(ctx, reader(ctx)?, &id.to_string(), first, after).await
    }

    /// The resources of your company, the newest first.
    async fn resources(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those of this kind.")] kind: Option<ResourceKind>,
    ) -> Result<Connection<Resource>> {
        let (tenant, first, after) = (reader(ctx)?, page::size(first, page::DEFAULT)?, page::cursor(after)?);
        let group = kind.map_or_else(Group::all, |kind| Group::status(record::ResourceKind::from(kind).name()));
        let workspace = reading::of(ctx)?.workspace().await?;
        let found =
            workspace.list(tenant, &group, first, after.as_ref()).await.map_err(|error| error::query(&error))?;
        Ok(Connection::new(found, after.is_some(), Resource::of))
    }
}
