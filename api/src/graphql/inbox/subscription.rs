//! Subscription to the caller's notifications.

use async_graphql::{Context, Result, SimpleObject, Subscription};
use cqrs_es::Aggregate;
use domain::inbox::{self as record, InboxEvent};
use futures::Stream;

use super::node::NotificationNode;
use crate::graphql::{
    command_dispatch::{reading_tenant, request_identity},
    feed_subscription::{self, FeedEvent},
};

/// Subscription to the caller's notifications.
#[derive(Default)]
pub(in crate::graphql) struct NotificationSubscription;

#[Subscription]
impl NotificationSubscription {
    /// Every notification to you, exactly once and in log order, starting now or after a cursor. To miss nothing when
    /// the connection breaks, subscribe again with the cursor of the last notification you received.
    async fn notifications(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Continue after the notification with this cursor, of any age.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<NotificationDelivery>> + use<>> {
        let inbox_id = reading_tenant(ctx)?.stream_id(request_identity(ctx)?.user());
        feed_subscription::subscribe_tenant_events(ctx, after, move |feed_event| {
            to_notification_delivery(feed_event, &inbox_id)
        })
        .await
    }
}

/// A delivered notification.
#[derive(SimpleObject)]
#[graphql(name = "NotificationTold")]
struct NotificationDelivery {
    /// Cursor of the notification; pass it as `after` to continue behind it.
    cursor: String,
    /// The notification.
    notification: NotificationNode,
}

fn to_notification_delivery(feed_event: &FeedEvent, inbox_id: &str) -> Option<NotificationDelivery> {
    let event = &feed_event.event;
    if event.aggregate_type != record::Inbox::TYPE || event.aggregate_id != inbox_id {
        return None;
    }
    match event.decode::<InboxEvent>() {
        Ok(InboxEvent::Notified { notification, stamp }) => Some(NotificationDelivery {
            cursor: feed_event.cursor(),
            notification: NotificationNode::from_notification(&notification, stamp.at, None),
        }),
        Ok(
            InboxEvent::Read { .. }
            | InboxEvent::AllRead { .. }
            | InboxEvent::Dismissed { .. }
            | InboxEvent::MailPreferencesChanged { .. }
            | InboxEvent::MailUnsubscribed { .. }
            | InboxEvent::MailRequested { .. }
            | InboxEvent::MailAttempted { .. }
            | InboxEvent::MailSent { .. }
            | InboxEvent::MailFailed { .. }
            | InboxEvent::MailSuppressed { .. },
        ) => None,
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "inbox event cannot be decoded, not delivered to the subscriber"
            );
            None
        }
    }
}
