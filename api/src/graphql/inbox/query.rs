//! Query of the caller's notifications; one Redis read.

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::inbox as record;

use super::node::NotificationNode;
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    error,
    pagination::{self, PageInfo},
    read_models,
};

/// Query of the caller's notifications.
#[derive(Default)]
pub(in crate::graphql) struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// Your notifications, newest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Page size, 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "Continue after the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only unread notifications.", default)] unread: bool,
    ) -> Result<NotificationConnection> {
        let first =
            usize::try_from(pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?).unwrap_or(usize::MAX);
        let (tenant, user) = (reading_tenant(ctx)?, request_identity(ctx)?.user().to_string());
        let found = read_models::from_context(ctx)?.tenant_views().await?.get::<record::Inbox>(tenant, &user).await;
        let inbox = found.map_err(|error| error::query_error(&error))?.map(|stored| stored.state).unwrap_or_default();
        let mut entries: Vec<_> = inbox.entries().rev().filter(|entry| !unread || entry.is_unread()).collect();
        let total_count = entries.len();
        let after = after.filter(|after| !after.is_empty());
        if let Some(after) = &after {
            let index = entries.iter().position(|entry| entry.id().to_string() == *after);
            let index =
                index.ok_or_else(|| error::invalid_field("after", "the notification no longer exists".to_owned()))?;
            entries.drain(..=index);
        }
        let has_next_page = entries.len() > first;
        entries.truncate(first);
        let edge = |entry: &&record::InboxEntry| NotificationEdge {
            cursor: entry.id().to_string(),
            node: NotificationNode::from_notification(entry.notification(), entry.stamp().at, entry.read_at()),
        };
        let edges: Vec<_> = entries.iter().map(edge).collect();
        let page_info = PageInfo {
            has_next_page,
            has_previous_page: after.is_some(),
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };
        Ok(NotificationConnection { edges, page_info, total_count, unread_count: inbox.unread_count() })
    }
}

/// A page of notifications.
#[derive(SimpleObject)]
struct NotificationConnection {
    /// The entries of the page with their cursors.
    edges: Vec<NotificationEdge>,
    /// Position of the page in the list.
    page_info: PageInfo,
    /// Number of entries over all pages.
    total_count: usize,
    /// Number of unread notifications in the inbox.
    unread_count: usize,
}

/// An entry of a page.
#[derive(SimpleObject)]
struct NotificationEdge {
    /// Cursor of the entry; valid while the notification exists.
    cursor: String,
    /// The notification.
    node: NotificationNode,
}
