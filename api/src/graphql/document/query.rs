//! Reading documents; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::document as record;
use projections::workspace::Group;
use uuid::Uuid;

use super::view::{Document, DocumentStatus};
use crate::graphql::{
    error, input,
    outcome::reader,
    page::{self, Connection},
    past::{self, History, PastMoment},
    reading,
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
    ) -> Result<Option<Document>> {
        let (tenant, id) = (reader(ctx)?, id.to_string());
        let found = past::now_or_then(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| Document::of(id, kept)))
    }

    /// What happened to a document of your company, the oldest first; nothing where it has none with that id.
    async fn document_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<History<record::Document>> {
        past::history(ctx, reader(ctx)?, &id.to_string(), first, after).await
    }

    /// The documents of your company, the newest first.
    async fn documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that are that far.")] status: Option<DocumentStatus>,
        #[graphql(desc = "Only those of this opportunity; cannot be combined with `status`.")] opportunity_id: Option<
            String,
        >,
    ) -> Result<Connection<Document>> {
        let (tenant, first, after) = (reader(ctx)?, page::size(first, page::DEFAULT)?, page::cursor(after)?);
        let group = match (status, opportunity_id) {
            (None, None) => Group::all(),
            (Some(status), None) => Group::status(record::DocumentStatus::from(status).name()),
            (None, Some(id)) => Group::opportunity(&input::id("opportunityId", &id)?),
            (Some(_), Some(_)) => {
                return Err(error::invalid_field("opportunityId", "it cannot be combined with status".to_owned()));
            }
        };
        let workspace = reading::of(ctx)?.workspace().await?;
        let found =
            workspace.list(tenant, &group, first, after.as_ref()).await.map_err(|error| error::query(&error))?;
        Ok(Connection::new(found, after.is_some(), Document::of))
    }
}
