//! Seeing to one's own notifications.

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

/// Changes one's own inbox.
#[derive(Default)]
pub(in crate::graphql) struct NotificationMutation;

#[Object]
impl NotificationMutation {
    /// Let some count as read; those that are gone are passed over.
    async fn mark_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which ones, at most 100.")] ids: Vec<Uuid>,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let notification_ids = NotificationIds::try_new(ids.into_iter().map(NotificationId::new));
        let notification_ids = notification_ids.map_err(|reason| error::invalid_value("ids", &reason))?;
        dispatch_inbox_command(ctx, conditions, |stamp| InboxCommand::MarkRead { notification_ids, stamp }).await
    }

    /// Let all count as read.
    async fn mark_all_notifications_read(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        dispatch_inbox_command(ctx, conditions, |stamp| InboxCommand::MarkAllRead { stamp }).await
    }

    /// Let go of one, read or not.
    async fn dismiss_notification(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] id: Uuid,
        #[graphql(desc = "What has to hold.")] conditions: Option<PreconditionsInput>,
    ) -> Result<ChangeOutcome> {
        let notification_id = NotificationId::new(id);
        dispatch_inbox_command(ctx, conditions, |stamp| InboxCommand::Dismiss { notification_id, stamp }).await
    }
}

/// Changes the caller's own inbox, and no other.
async fn dispatch_inbox_command(
    ctx: &Context<'_>,
    conditions: Option<PreconditionsInput>,
    command: impl FnOnce(AuditStamp) -> InboxCommand + Send,
) -> Result<ChangeOutcome> {
    let conditions = precondition::parse_preconditions(ctx, conditions)?;
    dispatch_command::<Inbox>(ctx, request_identity(ctx)?.user(), &conditions, command).await
}
