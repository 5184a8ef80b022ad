//! Telling a user what they are told, as it happens.

use async_graphql::{Context, Result, SimpleObject, Subscription};
use cqrs_es::Aggregate;
use domain::inbox::{self as record, InboxEvent};
use futures::Stream;

use super::view::Notification;
use crate::graphql::{
    follow::{self, Happened},
    outcome::{identity, reader},
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
    ) -> Result<impl Stream<Item = Result<NotificationTold>> + use<>> {
        let own = reader(ctx)?.stream(identity(ctx)?.user());
        follow::follow_own(ctx, after, move |happened| told(happened, &own)).await
    }
}

/// A notification as it comes.
#[derive(SimpleObject)]
struct NotificationTold {
    /// Where the log has it; a later subscription continues behind it.
    cursor: String,
    /// What it says.
    notification: Notification,
}

fn told(happened: &Happened, own: &str) -> Option<NotificationTold> {
    let event = &happened.event;
    if event.aggregate_type != record::Inbox::TYPE || event.aggregate_id != own {
        return None;
    }
    match event.decode::<InboxEvent>() {
        Ok(InboxEvent::Notified { notification, stamp }) => Some(NotificationTold {
            cursor: happened.cursor(),
            notification: Notification::of(&notification, stamp.at, None),
        }),
        Ok(InboxEvent::Read { .. } | InboxEvent::AllRead { .. } | InboxEvent::Dismissed { .. }) => None,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a subscriber cannot be told of an event");
            None
        }
    }
}
