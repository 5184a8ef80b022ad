//! Reading tasks; from Redis, one read a question.

use async_graphql::{Context, Object, Result};
use domain::task as record;
use projections::workspace::Group;
use uuid::Uuid;

use super::view::{Task, TaskStatus};
use crate::{
    graphql::{
        error,
        outcome::identity,
        page::{self, Connection},
        past::{self, History, PastMoment},
        reading,
    },
    owned,
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
    ) -> Result<Option<Task>> {
        let tenant = owned::task_reader(identity(ctx)?).map_err(|undone| error::undone(&undone))?;
        let id = id.to_string();
        let found = past::now_or_then(ctx, tenant, &id, as_of).await?;
        Ok(found.and_then(|kept| Task::of(id, kept)))
    }

    /// What happened to a task of your company, the oldest first; nothing where it has none with that id.
    async fn task_history(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Its id.")] id: Uuid,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the change with this version.")] after: Option<u64>,
    ) -> Result<History<record::Task>> {
        let tenant = owned::task_reader(identity(ctx)?).map_err(|undone| error::undone(&undone))?;
        past::history(ctx, tenant, &id.to_string(), first, after).await
    }

    /// The tasks of your company, the newest first.
    async fn tasks(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that are that far.")] status: Option<TaskStatus>,
    ) -> Result<Connection<Task>> {
        let tenant = owned::task_reader(identity(ctx)?).map_err(|undone| error::undone(&undone))?;
        let (first, after) = (page::size(first, page::DEFAULT)?, page::cursor(after)?);
        let group = status.map_or_else(Group::all, |status| Group::status(record::TaskStatus::from(status).name()));
        let workspace = reading::of(ctx)?.workspace().await?;
        let found =
            workspace.list(tenant, &group, first, after.as_ref()).await.map_err(|error| error::query(&error))?;
        Ok(Connection::new(found, after.is_some(), Task::of))
    }
}
