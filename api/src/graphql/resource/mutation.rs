//! Mutations of resources.

use async_graphql::{Context, InputObject, Object, Result};
use domain::{
    resource::{Resource, ResourceBody, ResourceCommand, ResourceContent, ResourceName, ResourceTags},
    value::DocumentId,
};
use uuid::Uuid;

use super::node::ResourceKindEnum;
use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, new_id},
    error,
    input_validation::parse_value,
    precondition::{self, PreconditionsInput},
};

/// Mutations of resources.
#[derive(Default)]
pub(in crate::graphql) struct ResourceMutation;

/// The content of a resource.
#[derive(InputObject)]
#[graphql(name = "ResourceInput")]
struct ResourceContentInput {
    /// Name, at most 200 characters.
    name: String,
    /// Kind of resource.
    kind: ResourceKindEnum,
    /// Text, at most 100,000 characters.
    body: String,
    /// Tags, at most 20: lower-case letters, digits and hyphens.
    #[graphql(default)]
    tags: Vec<String>,
    /// Id of the document that it was taken from.
    document_id: Option<Uuid>,
}

impl ResourceContentInput {
    fn into_content(self) -> Result<ResourceContent> {
        Ok(ResourceContent {
            name: parse_value("input.name", &self.name, ResourceName::try_new)?,
            kind: self.kind.into(),
            body: parse_value("input.body", &self.body, ResourceBody::try_new)?,
            tags: ResourceTags::try_new(self.tags).map_err(|reason| error::invalid_value("input.tags", &reason))?,
            document_id: self.document_id.map(DocumentId::new),
        })
    }
}

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
        let (conditions, asset) = (precondition::parse_preconditions(ctx, conditions)?, input.into_content()?);
        let id = new_id(ctx, "resource", id, &conditions)?;
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Create { asset, stamp }).await
    }

    /// Replaces the content of a resource. Requires at least the role `CONTRIBUTOR`.
    async fn update_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource's id.")] id: Uuid,
        #[graphql(desc = "The complete new content.")] input: ResourceContentInput,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, asset) = (precondition::parse_preconditions(ctx, conditions)?, input.into_content()?);
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Update { asset, stamp }).await
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
