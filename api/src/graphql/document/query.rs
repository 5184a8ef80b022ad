//! Reading documents; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::document as record;
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::{DocumentNode, DocumentStatusEnum};
use crate::graphql::{
    command_dispatch::reading_tenant,
    error,
    history::{self, AggregateHistory, PastMoment},
    input_validation,
    pagination::{self, NodeConnection},
    read_models,
};

/// What a company uploaded.
#[derive(Default)]
pub(in crate::graphql) struct DocumentQuery;

#[Object]
impl DocumentQuery {
    /// A document of your company; null where it has none with that id.
    async fn document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "As it was then; by default as it is.")] as_of: Option<PastMoment>,
    ) -> Result<Option<DocumentNode>> {
        let (tenant, id) = (reading_tenant(ctx)?, id.to_string());
        let found = history::load_as_of(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| DocumentNode::from_stored(id, kept)))
    }

    /// What happened to a document of your company, the oldest first; nothing where it has none with that id.
    async fn document_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Document>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }

    /// The documents of your company, the newest first.
    async fn documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that are that far.")] status: Option<DocumentStatusEnum>,
        #[graphql(desc = "Only those of this opportunity; cannot be combined with `status`.")] opportunity_id: Option<
            String,
        >,
    ) -> Result<NodeConnection<DocumentNode>> {
        let (tenant, first, after) = (
            reading_tenant(ctx)?,
            pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?,
            pagination::parse_cursor(after)?,
        );
        let group = match (status, opportunity_id) {
            (None, None) => ListGroup::all(),
            (Some(status), None) => ListGroup::status(record::DocumentStatus::from(status).name()),
            (None, Some(id)) => ListGroup::opportunity(&input_validation::parse_opportunity_id("opportunityId", &id)?),
            (Some(_), Some(_)) => {
                return Err(error::invalid_field("opportunityId", "it cannot be combined with status".to_owned()));
            }
        };
        let workspace = read_models::from_context(ctx)?.tenant_views().await?;
        let found = workspace
            .list_aggregates(tenant, &group, first, after.as_ref())
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(NodeConnection::new(found, after.is_some(), DocumentNode::from_stored))
    }
}
