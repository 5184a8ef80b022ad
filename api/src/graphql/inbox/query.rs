//! Reading one's own notifications; from Redis, one read.

use async_graphql::{Context, Object, Result, SimpleObject};
use domain::inbox as record;

use super::view::Notification;
use crate::graphql::{
    error,
    outcome::{identity, reader},
    page::{self, PageInfo},
    reading,
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
        let first = usize::try_from(page::size(first, page::DEFAULT)?).unwrap_or(usize::MAX);
        let (tenant, user) = (reader(ctx)?, identity(ctx)?.user().to_string());
        let found = reading::of(ctx)?.workspace().await?.get::<record::Inbox>(tenant, &user).await;
        let inbox = found.map_err(|error| error::query(&error))?.map(|kept| kept.state).unwrap_or_default();
        let mut wanted: Vec<_> = inbox.kept().rev().filter(|kept| !unread || kept.is_unread()).collect();
        let total_count = wanted.len();
        let after = after.filter(|after| !after.is_empty());
        if let Some(after) = &after {
            let place = wanted.iter().position(|kept| kept.id().to_string() == *after);
            let place = place.ok_or_else(|| error::invalid_field("after", "the notification is gone".to_owned()))?;
            wanted.drain(..=place);
        }
        let has_next_page = wanted.len() > first;
        wanted.truncate(first);
        let edge = |kept: &&record::Kept| NotificationEdge {
            cursor: kept.id().to_string(),
            node: Notification::of(kept.notification(), kept.stamp().at, kept.read_at()),
        };
        let edges: Vec<_> = wanted.iter().map(edge).collect();
        let page_info = PageInfo {
            has_next_page,
            has_previous_page: after.is_some(),
            start_cursor: edges.first().map(|edge| edge.cursor.clone()),
            end_cursor: edges.last().map(|edge| edge.cursor.clone()),
        };
        Ok(NotificationConnection { edges, page_info, total_count, unread_count: inbox.unread() })
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
    node: Notification,
}
