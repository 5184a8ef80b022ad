//! Reading tasks; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::task as record;
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::{TaskNode, TaskStatusEnum};
use crate::{
    graphql::{
        command_dispatch::request_identity,
        error,
        history::{self, AggregateHistory, PastMoment},
        pagination::{self, NodeConnection},
        read_models,
    },
    tenant_commands,
};

/// Work on documents, resources, proposals and opportunities.
#[derive(Default)]
pub(in crate::graphql) struct TaskQuery;

#[Object]
impl TaskQuery {
    /// A task of your company; null where it has none with that id.
    async fn task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "As it was then; by default as it is.")] as_of: Option<PastMoment>,
    ) -> Result<Option<TaskNode>> {
        let tenant = tenant_commands::readable_task_tenant(request_identity(ctx)?)
            .map_err(|undone| error::command_failure(&undone))?;
        let id = id.to_string();
        let found = history::load_as_of(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| TaskNode::from_stored(id, kept)))
    }

    /// What happened to a task of your company, the oldest first; nothing where it has none with that id.
    async fn task_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Task>> {
        let tenant = tenant_commands::readable_task_tenant(request_identity(ctx)?)
            .map_err(|undone| error::command_failure(&undone))?;
        history::load_history(ctx, tenant, &id.to_string(), first, after).await
    }

    /// The tasks of your company, the newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that are that far.")] status: Option<TaskStatusEnum>,
    ) -> Result<NodeConnection<TaskNode>> {
        let tenant = tenant_commands::readable_task_tenant(request_identity(ctx)?)
            .map_err(|undone| error::command_failure(&undone))?;
        let (first, after) =
            (pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?, pagination::parse_cursor(after)?);
        let group =
            status.map_or_else(ListGroup::all, |status| ListGroup::status(record::TaskStatus::from(status).name()));
        let workspace = read_models::from_context(ctx)?.tenant_views().await?;
        let found = workspace
            .list_aggregates(tenant, &group, first, after.as_ref())
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(NodeConnection::new(found, after.is_some(), TaskNode::from_stored))
    }
}
