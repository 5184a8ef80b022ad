//! Subscriptions to the change feed.

use std::{io, time::Duration};

use futures::StreamExt;
use redis::{RedisError, aio::PubSub};
use tokio::time::timeout;

use super::{ChangeFeed, ChangeNotification};
use crate::{
    QueryError,
    storage::redis::{escape_glob, unavailable_error, unreadable_error},
};

/// Time limit of subscribing: the client has none for such connections.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A dedicated connection that receives changes. Dropping it closes the connection.
pub struct FeedSubscription(PubSub);

impl ChangeFeed {
    /// Subscribes to the changes of all tenants and contexts; the caller must filter them before passing them on.
    ///
    /// # Errors
    /// [`QueryError`] when the server is unavailable.
    pub async fn subscribe(&self) -> Result<FeedSubscription, QueryError> {
        let mut connection = self.client().open_subscription().await?;
        let subscribing = connection.psubscribe(format!("{}*", escape_glob(self.channel_prefix())));
        timeout(SUBSCRIBE_TIMEOUT, subscribing)
            .await
            .unwrap_or_else(|_elapsed| Err(RedisError::from(io::Error::from(io::ErrorKind::TimedOut))))
            .map_err(unavailable_error)?;
        Ok(FeedSubscription(connection))
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
