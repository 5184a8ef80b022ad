//! Reading one's own notifications; from Redis, one read.

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::inbox as record;

use super::node::NotificationNode;
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    error,
    pagination::{self, PageInfo},
    read_models,
};

/// What one was told.
#[derive(Default)]
pub(in crate::graphql) struct NotificationQuery;

#[Object]
impl NotificationQuery {
    /// What you were told, the newest first.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 where nothing is said.")] first: Option<i32>,
        #[graphql(desc = "Continue behind the entry with this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those that are unread.", default)] unread: bool,
    ) -> Result<NotificationConnection> {
        let first =
            usize::try_from(pagination::parse_page_size(first, pagination::DEFAULT_PAGE_SIZE)?).unwrap_or(usize::MAX);
        let (tenant, user) = (reading_tenant(ctx)?, request_identity(ctx)?.user().to_string());
        let found = read_models::from_context(ctx)?.tenant_views().await?.get::<record::Inbox>(tenant, &user).await;
        let inbox = found.map_err(|error| error::query_error(&error))?.map(|kept| kept.state).unwrap_or_default();
        let mut wanted: Vec<_> = inbox.entries().rev().filter(|kept| !unread || kept.is_unread()).collect();
        let total_count = wanted.len();
        let after = after.filter(|after| !after.is_empty());
        if let Some(after) = &after {
            let place = wanted.iter().position(|kept| kept.id().to_string() == *after);
            let place = place.ok_or_else(|| error::invalid_field("after", "the notification is gone".to_owned()))?;
            wanted.drain(..=place);
        }
        let has_next_page = wanted.len() > first;
        wanted.truncate(first);
        let edge = |kept: &&record::InboxEntry| NotificationEdge {
            cursor: kept.id().to_string(),
            node: NotificationNode::from_notification(kept.notification(), kept.stamp().at, kept.read_at()),
        };
        let edges: Vec<_> = wanted.iter().map(edge).collect();
        let page_info = PageInfo {
            has_next_page,
            has_previous_page: after.is_some(),
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };
        Ok(NotificationConnection { edges, page_info, total_count, unread_count: inbox.unread_count() })
    }
}

/// One page of notifications.
#[derive(SimpleObject)]
struct NotificationConnection {
    /// The entries of this page with their cursors.
    edges: Vec<NotificationEdge>,
    /// Where this page lies in the whole list.
    page_info: PageInfo,
    /// How many there are on all pages together.
    total_count: usize,
    /// How many of all that are kept are unread.
    unread_count: usize,
}

/// One entry of a page.
#[derive(SimpleObject)]
struct NotificationEdge {
    /// Where this entry stands, for as long as it is kept.
    cursor: String,
    /// The entry.
    node: NotificationNode,
}
