//! Subscriptions to the change feed.

use futures::StreamExt;
use redis::aio::PubSub;

use super::{ChangeFeed, ChangeNotification};
use crate::{
    QueryError,
    storage::redis::{escape_glob, unreadable_error},
};

/// A dedicated connection that receives changes. Dropping it closes the connection.
pub struct FeedSubscription(PubSub);

impl ChangeFeed {
    /// Subscribes to the changes of all tenants and contexts; the caller must filter them before passing them on.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn subscribe(&self) -> Result<FeedSubscription, QueryError> {
        let pattern = format!("{}*", escape_glob(self.channel_prefix()));
        self.client().subscribe_to_pattern(&pattern).await.map(FeedSubscription)
    }
}

impl FeedSubscription {
    /// Waits for the next change; `None` when the connection is lost.
    ///
    /// # Errors
    /// [`QueryError`] for a message that is not a change; the subscription remains usable.
    pub async fn next(&mut self) -> Result<Option<ChangeNotification>, QueryError> {
        let Some(message) = self.0.on_message().next().await else { return Ok(None) };
        serde_json::from_slice(message.get_payload_bytes()).map(Some).map_err(unreadable_error)
    }
}
