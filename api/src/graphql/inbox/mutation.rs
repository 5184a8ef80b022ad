//! Mutations of the caller's inbox.

use async_graphql::{Context, Object, Result};
use domain::{
    inbox::{Inbox, InboxCommand, NotificationId, NotificationIds},
    value::AuditStamp,
};
use uuid::Uuid;

use crate::graphql::{
    command_dispatch::{ChangeOutcome, dispatch_command, request_identity},
    error,
    precondition::{self, PreconditionsInput},
};

/// Mutations of the caller's inbox.
#[derive(Default)]
pub(in crate::graphql) struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Marks notifications as read; ids of notifications that no longer exist are ignored.
    async fn mark_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Ids of the notifications, at most 100.")] ids: Vec<Uuid>,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let notification_ids = NotificationIds::try_new(ids.into_iter().map(NotificationId::new));
        let notification_ids = notification_ids.map_err(|reason| error::invalid_value("ids", &reason))?;
        dispatch_inbox_command(ctx, conditions, |stamp| InboxCommand::MarkRead { notification_ids, stamp }).await
    }

    /// Marks all notifications as read.
    async fn mark_all_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        dispatch_inbox_command(ctx, conditions, |stamp| InboxCommand::MarkAllRead { stamp }).await
    }

    /// Dismisses a notification, read or unread.
    async fn dismiss_notification(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The notification's id.")] id: Uuid,
        #[graphql(desc = "Preconditions.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let notification_id = NotificationId::new(id);
        dispatch_inbox_command(ctx, conditions, |stamp| InboxCommand::Dismiss { notification_id, stamp }).await
    }
}

/// Sends a command to the caller's own inbox, never to another user's.
pub(super) async fn dispatch_inbox_command(
    ctx: &Context<'_>,
    conditions: Option<PreconditionsInput>,
    command: impl FnOnce(AuditStamp) -> InboxCommand + Send,
) -> Result<ChangeOutcome> {
    let conditions = precondition::parse_preconditions(ctx, conditions)?;
    dispatch_command::<Inbox>(ctx, request_identity(ctx)?.user(), &conditions, command).await
}
