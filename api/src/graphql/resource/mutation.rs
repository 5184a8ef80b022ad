//! Changing resources.

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

/// Changes resources.
#[derive(Default)]
pub(in crate::graphql) struct ResourceMutation;

/// What a resource is to hold.
#[derive(InputObject)]
#[graphql(name = "ResourceInput")]
struct ResourceContentInput {
    /// What it is to be called, at most 200 characters.
    name: String,
    /// What it is good for.
    kind: ResourceKindEnum,
    /// What it is to say, at most 100,000 characters.
    body: String,
    /// Words to find it by, at most 20: lower-case letters, digits and hyphens.
    #[graphql(default)]
    tags: Vec<String>,
    /// The document that it was taken from.
    document_id: Option<Uuid>,
}

impl ResourceContentInput {
    fn into_asset(self) -> Result<ResourceContent> {
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
    /// Keep something to use again; contributors may.
    async fn create_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id, a UUID of yours; one is made where none is given.")] id: Option<Uuid>,
        #[graphql(desc = "What it holds.")] input: ResourceContentInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, asset) = (precondition::parse_preconditions(ctx, conditions)?, input.into_asset()?);
        let id = new_id(ctx, "resource", id, &conditions)?;
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Create { asset, stamp }).await
    }

    /// Let it hold something else; contributors may.
    async fn update_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "All that it holds from then on.")] input: ResourceContentInput,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let (conditions, asset) = (precondition::parse_preconditions(ctx, conditions)?, input.into_asset()?);
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Update { asset, stamp }).await
    }

    /// Do away with it for good; managers may.
    async fn delete_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let conditions = precondition::parse_preconditions(ctx, conditions)?;
        dispatch_command::<Resource>(ctx, id, &conditions, |stamp| ResourceCommand::Delete { stamp }).await
    }
}
