//! Queries of tasks; one Redis read per query, the log for past states.

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

/// Queries of tasks.
#[derive(Default)]
pub(in crate::graphql) struct TaskQuery;

#[Object]
impl TaskQuery {
    /// A task of your company; null if it has none with that id.
    async fn task(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task's id.")] id: Uuid,
        #[graphql(desc = "A past state to read; the current one by default.")] as_of: Option<PastMoment>,
    ) -> Result<Option<TaskNode>> {
        let tenant = tenant_commands::readable_task_tenant(request_identity(ctx)?)
            .map_err(|failure| error::command_failure(&failure))?;
        let id = id.to_string();
        let found = history::load_as_of(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|stored| TaskNode::from_stored(id, stored)))
    }

    /// Recorded changes of a task of your company, oldest first; empty if it has none with that id.
    async fn task_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task's id.")] id: Uuid,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Task>> {
        let tenant = tenant_commands::readable_task_tenant(request_identity(ctx)?)
            .map_err(|failure| error::command_failure(&failure))?;
        history::load_history(ctx, tenant, &id.to_string(), first, after).await
    }

    /// The tasks of your company, newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only tasks with this status.")] status: Option<TaskStatusEnum>,
    ) -> Result<NodeConnection<TaskNode>> {
        let tenant = tenant_commands::readable_task_tenant(request_identity(ctx)?)
            .map_err(|failure| error::command_failure(&failure))?;
        let (first, after) =
            (pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?, pagination::parse_cursor(after)?);
        let group =
            status.map_or_else(ListGroup::all, |status| ListGroup::named(record::TaskStatus::from(status).name()));
        let tenant_views = read_models::from_context(ctx)?.tenant_views().await?;
        let found = tenant_views
            .list_aggregates(tenant, &group, first, after.as_ref())
            .await
            .map_err(|error| error::query_error(&error))?;
        Ok(NodeConnection::new(found, after.is_some(), TaskNode::from_stored))
    }
}
