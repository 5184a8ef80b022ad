//! Mutations of resources.

use async_graphql::{Context, Object, Result};
use domain::resource::{Resource, ResourceCommand};
use uuid::Uuid;

use super::node::ResourceContentInput;
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_aggregate_id},
    precondition::{self, PreconditionsInput},
};

/// Mutations of resources.
#[derive(Default)]
pub(in crate::graphql) struct ResourceMutation;

#[Object]
impl ResourceMutation {
    /// Creates a resource. Requires at least the role `CONTRIBUTOR`.
    async fn create_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Id, a UUID that you choose; generated if omitted.")] id: Option<Uuid>,
        #[graphql(desc = "The content.")] input: ResourceContentInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (mut conditions, content) = (precondition::parse_preconditions(ctx, conditions)?, input.into_content()?);
        let id = new_aggregate_id(ctx, "resource", id, &mut conditions)?;
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Create { content, stamp }).await
    }

    /// Replaces the content of a resource. Requires at least the role `CONTRIBUTOR`.
    async fn update_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's id.")] id: Uuid,
        #[graphql(desc = "The complete new content.")] input: ResourceContentInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, content) = (precondition::parse_preconditions(ctx, conditions)?, input.into_content()?);
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Update { content, stamp }).await
    }

    /// Deletes a resource permanently. Requires at least the role `MANAGER`.
    async fn delete_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's id.")] id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Delete { stamp }).await
    }
}
