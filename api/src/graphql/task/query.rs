//! Queries of tasks; one Redis read per query, the log for past states.

use async_graphql::{Context, Object, Result};
use domain::{task as record, value::TenantId};
use projections::tenant_views::ListGroup;
use uuid::Uuid;

use super::node::{TaskNode, TaskStatusEnum};
use crate::{
    graphql::{
        command_dispatch::request_identity,
        error,
        history::{self, AggregateHistory, PastMoment},
        pagination::NodeConnection,
        tenant_node::{self, PageRequest},
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
        tenant_node::load_node(ctx, reading_task_tenant(ctx)?, id, as_of).await
    }

    /// Recorded changes of a task of your company, oldest first; empty if it has none with that id.
    async fn task_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The task's id.")] id: Uuid,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the change with this version.")] after: Option<u64>,
    ) -> Result<AggregateHistory<record::Task>> {
        history::load_history(ctx, reading_task_tenant(ctx)?, &id.to_string(), first, after).await
    }

    /// The tasks of your company, newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only tasks with this status.")] status: Option<TaskStatusEnum>,
    ) -> Result<NodeConnection<TaskNode>> {
        let (tenant, page) = (reading_task_tenant(ctx)?, PageRequest::parse(first, after)?);
        let group =
            status.map_or_else(ListGroup::all, |status| ListGroup::named(record::TaskStatus::from(status).name()));
        tenant_node::list_nodes(ctx, tenant, &group, page).await
    }
}

/// The tenant whose tasks the caller may read.
fn reading_task_tenant<'a>(ctx: &Context<'a>) -> Result<&'a TenantId> {
    tenant_commands::readable_task_tenant(request_identity(ctx)?).map_err(|failure| error::command_failure(&failure))
}
