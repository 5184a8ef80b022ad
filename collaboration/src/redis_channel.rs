//! A pub/sub channel of `Redis` between the processes of an installation: messages may be lost, and never delay a sender.

use std::time::Duration;

use futures::StreamExt;
use redis::aio::PubSub;
use redis_connections::{RedisConnection, RedisEndpoint};
use tokio::sync::{mpsc, oneshot};

use crate::error::TextError;

/// Time limit of a request to Redis: short, since the messages only reduce a delay.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Capacity of the outbox; messages beyond it are dropped, since a hung server must not delay senders.
const OUTBOX_LENGTH: usize = 1_024;

/// The channels between processes.
#[derive(Debug, Clone)]
pub struct PeerChannelConfig {
    /// The `Redis` server or cluster.
    pub endpoint: RedisEndpoint,
    /// Prefix of the channels' names.
    pub prefix: String,
}

/// One channel. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisChannel {
    endpoint: RedisEndpoint,
    outbox: mpsc::Sender<OutboxItem>,
    name: String,
}

/// An entry of the outbox.
enum OutboxItem {
    Message(Vec<u8>),
    /// Answered once everything before it was sent.
    Flush(oneshot::Sender<()>),
}

impl RedisChannel {
    /// Creates the channel `name` over the server in `config`. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when a setting is invalid.
    pub(crate) fn new(config: &PeerChannelConfig, name: &str) -> Result<Self, TextError> {
        let endpoint = config.endpoint.clone();
        let connection = endpoint.open_connection(RESPONSE_TIMEOUT).map_err(TextError::Redis)?;
        let name = format!("{}{name}", config.prefix);
        let (outbox, outgoing) = mpsc::channel(OUTBOX_LENGTH);
        // The task ends when the last clone is dropped.
        tokio::spawn(publish_outbox(connection, name.clone(), outgoing));
        Ok(Self { endpoint, outbox, name })
    }

    /// Queues a message, without waiting; drops it when the outbox is full.
    pub(crate) fn publish(&self, message: Vec<u8>) {
        if self.outbox.try_send(OutboxItem::Message(message)).is_err() {
            tracing::debug!(channel = self.name, "pub/sub message dropped: the outbox is full");
        }
    }

    /// Waits until the outbox is sent, at most for [`RESPONSE_TIMEOUT`].
    pub(crate) async fn flush(&self) {
        let (sent, flushed) = oneshot::channel();
        let flush = async {
            if self.outbox.send(OutboxItem::Flush(sent)).await.is_ok() {
                let _ = flushed.await;
            }
        };
        let _ = tokio::time::timeout(RESPONSE_TIMEOUT, flush).await;
    }

    /// Subscribes to the messages of all processes, this one included.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the server is unavailable.
    pub(crate) async fn subscribe(&self) -> Result<RedisSubscription, TextError> {
        self.endpoint.subscribe(&self.name).await.map(RedisSubscription).map_err(TextError::Redis)
    }
}

/// Publishes the messages of the outbox in order.
async fn publish_outbox(mut connection: RedisConnection, name: String, mut outgoing: mpsc::Receiver<OutboxItem>) {
    while let Some(next) = outgoing.recv().await {
        let message = match next {
            OutboxItem::Message(message) => message,
            OutboxItem::Flush(sent) => {
                let _ = sent.send(());
                continue;
            }
        };
        let mut publish = redis::cmd("PUBLISH");
        if let Err(error) = publish.arg(&name).arg(message).query_async::<()>(&mut connection).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "publishing to other processes failed");
        }
    }
}

/// A subscription to a channel, on its own connection. Dropping it closes the connection.
pub(crate) struct RedisSubscription(PubSub);

impl RedisSubscription {
    /// Waits for the next message; `None` when the connection is lost.
    pub(crate) async fn next_message(&mut self) -> Option<Vec<u8>> {
        Some(self.0.on_message().next().await?.get_payload_bytes().to_vec())
    }
}
