//! Receiving what is told.

use futures::StreamExt;
use redis::aio::PubSub;

use super::{ChangeFeed, ChangeNotification};
use crate::{
    QueryError,
    opportunity_views::{escape_glob, unavailable_error, unreadable_error},
};

/// A connection of its own on which changes are received. Dropping it closes the connection.
pub struct FeedSubscription(PubSub);

impl ChangeFeed {
    /// Begins to listen to everything that is told, of all tenants and contexts: whoever hands it on has to choose.
    ///
    /// # Errors
    /// [`QueryError`] when the server is away.
    pub async fn subscribe(&self) -> Result<FeedSubscription, QueryError> {
        let mut connection = self.client().get_async_pubsub().await.map_err(unavailable_error)?;
        connection.psubscribe(format!("{}*", escape_glob(self.channel_prefix()))).await.map_err(unavailable_error)?;
        Ok(FeedSubscription(connection))
    }
}

impl FeedSubscription {
    /// The next change; `None` when the connection is lost.
    ///
    /// # Errors
    /// [`QueryError`] for a message that is none of ours; the next one may be.
    pub async fn next(&mut self) -> Result<Option<ChangeNotification>, QueryError> {
        let Some(message) = self.0.on_message().next().await else { return Ok(None) };
        serde_json::from_slice(message.get_payload_bytes()).map(Some).map_err(unreadable_error)
    }
}
