//! Telling a user what they are told, as it happens.

use async_graphql::{Context, Result, SimpleObject, Subscription};
use cqrs_es::Aggregate;
use domain::inbox::{self as record, InboxEvent};
use futures::Stream;

use super::node::NotificationNode;
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    feed_subscription::{self, FeedEvent},
};

/// What one is told.
#[derive(Default)]
pub(in crate::graphql) struct NotificationSubscription;

#[Subscription]
impl NotificationSubscription {
    /// Every notification of yours, once and in the order of the log, from now on or behind a cursor. To miss nothing
    /// over a broken connection, subscribe again behind the cursor of the last one you have seen.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Continue behind the notification with this cursor, however long ago it was.")] after: Option<
            String,
        >,
    ) -> Result<impl Stream<Item = Result<NotificationDelivery>> + use<>> {
        let own = reading_tenant(ctx)?.stream_id(request_identity(ctx)?.user());
        feed_subscription::subscribe_tenant_events(ctx, after, move |happened| to_notification_delivery(happened, &own))
            .await
    }
}

/// A notification as it comes.
#[derive(SimpleObject)]
#[graphql(name = "NotificationTold")]
struct NotificationDelivery {
    /// Where the log has it; a later subscription continues behind it.
    cursor: String,
    /// What it says.
    notification: NotificationNode,
}

fn to_notification_delivery(happened: &FeedEvent, own: &str) -> Option<NotificationDelivery> {
    let event = &happened.event;
    if event.aggregate_type != record::Inbox::TYPE || event.aggregate_id != own {
        return None;
    }
    match event.decode::<InboxEvent>() {
        Ok(InboxEvent::Notified { notification, stamp }) => Some(NotificationDelivery {
            cursor: happened.cursor(),
            notification: NotificationNode::from_notification(&notification, stamp.at, None),
        }),
        Ok(InboxEvent::Read { .. } | InboxEvent::AllRead { .. } | InboxEvent::Dismissed { .. }) => None,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a subscriber cannot be told of an event");
            None
        }
    }
}
