//! Queries of documents; one Redis read per query, the log for past states.

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
    pagination::NodeConnection,
    tenant_node::{self, PageRequest},
};

/// Queries of documents.
#[derive(Default)]
pub(in crate::graphql) struct DocumentQuery;

#[Object]
impl DocumentQuery {
    /// A document of your company; null if it has none with that id.
    async fn document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document's id.")] id: Uuid,
        #[graphql(desc = "A past state to read; the current one by default.")] as_of: Option<PastMoment>,
    ) -> Result<Option<DocumentNode>> {
        tenant_node::load_node(ctx, reading_tenant(ctx)?, id, as_of).await
    }

    /// Recorded changes of a document of your company, oldest first; empty if it has none with that id.
    async fn document_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The document's id.")] id: Uuid,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Document>> {
        history::load_history(ctx, reading_tenant(ctx)?, &id.to_string(), first, after).await
    }

    /// The documents of your company, newest first.
    async fn documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only documents with this status.")] status: Option<DocumentStatusEnum>,
        #[graphql(desc = "Only documents of this opportunity; cannot be combined with `status`.")]
        opportunity_id: Option<String>,
    ) -> Result<NodeConnection<DocumentNode>> {
        let (tenant, page) = (reading_tenant(ctx)?, PageRequest::parse(first, after)?);
        let group = match (status, opportunity_id) {
            (None, None) => ListGroup::all(),
            (Some(status), None) => ListGroup::named(record::DocumentStatus::from(status).name()),
            (None, Some(id)) => ListGroup::opportunity(&input_validation::parse_opportunity_id("opportunityId", &id)?),
            (Some(_), Some(_)) => {
                return Err(error::invalid_field("opportunityId", "it cannot be combined with status".to_owned()));
            }
        };
        tenant_node::list_nodes(ctx, tenant, &group, page).await
    }
}
