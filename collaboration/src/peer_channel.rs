//! Messages between processes about rooms, over `Redis` pub/sub: new updates and awareness.
//!
//! Losing messages only delays other processes: the text is in Postgres, which every room polls.

use domain::value::{ProposalId, TenantId};
use futures::StreamExt;
use redis::{
    Client,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSub},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;
use yrs::{sync::AwarenessUpdate, updates::encoder::Encode};

use crate::{ProposalRef, editor_message, error::TextError};

/// Time limit of a request to Redis: short, since the messages only reduce a delay.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Settings of the channel between processes.
#[derive(Debug, Clone)]
pub struct PeerChannelConfig {
    /// URL of the `Redis` server; may contain user, password and database.
    pub url: String,
    /// Prefix of the channel's name.
    pub prefix: String,
}

/// A message about one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerMessage {
    /// New updates are stored.
    Updates,
    /// Awareness of editors in another process.
    Awareness(AwarenessUpdate),
    /// Requests the awareness of editors in other processes.
    AwarenessQuery,
}

#[derive(Serialize, Deserialize)]
struct PeerEnvelope {
    from: Uuid,
    tenant: String,
    proposal: Uuid,
    kind: PeerMessageKind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PeerMessageKind {
    Updates,
    #[serde(rename = "presence")]
    Awareness,
    #[serde(rename = "asks")]
    AwarenessQuery,
}

/// Capacity of the outbox; messages beyond it are dropped, since a hung server must not delay editors.
const OUTBOX_LENGTH: usize = 1_024;

/// The channel to other processes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PeerChannel {
    client: Client,
    outbox: mpsc::Sender<OutboxItem>,
    channel: String,
    process_id: Uuid,
}

/// An entry of the outbox.
enum OutboxItem {
    Message(Vec<u8>),
    /// Answered once everything before it was sent.
    Flush(oneshot::Sender<()>),
}

impl PeerChannel {
    /// Creates a channel over the server in `config`. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the URL is invalid.
    pub(crate) fn new(config: &PeerChannelConfig) -> Result<Self, TextError> {
        let client = Client::open(config.url.as_str()).map_err(TextError::Redis)?;
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), manager).map_err(TextError::Redis)?;
        let channel = format!("{}together", config.prefix);
        let (outbox, outgoing) = mpsc::channel(OUTBOX_LENGTH);
        // The task ends when the last clone is dropped.
        tokio::spawn(publish_outbox(connection, channel.clone(), outgoing));
        Ok(Self { client, outbox, channel, process_id: Uuid::new_v4() })
    }

    /// Queues a message for other processes, without waiting. If it is lost, they load the change with their next poll.
    pub(crate) fn publish(&self, proposal_ref: &ProposalRef, message: &PeerMessage) {
        let (kind, body) = match message {
            PeerMessage::Updates => (PeerMessageKind::Updates, Vec::new()),
            PeerMessage::Awareness(update) => (PeerMessageKind::Awareness, update.encode_v1()),
            PeerMessage::AwarenessQuery => (PeerMessageKind::AwarenessQuery, Vec::new()),
        };
        let envelope = PeerEnvelope {
            from: self.process_id,
            tenant: proposal_ref.tenant.to_string(),
            proposal: proposal_ref.proposal.uuid(),
            kind,
            body,
        };
        let Ok(envelope) = serde_json::to_vec(&envelope) else { return };
        if self.outbox.try_send(OutboxItem::Message(envelope)).is_err() {
            tracing::debug!("pub/sub message dropped: the outbox is full");
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

    /// Subscribes to the messages of other processes.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the server is unavailable.
    pub(crate) async fn subscribe(&self) -> Result<PeerSubscription, TextError> {
        let mut connection = self.client.get_async_pubsub().await.map_err(TextError::Redis)?;
        connection.subscribe(&self.channel).await.map_err(TextError::Redis)?;
        Ok(PeerSubscription { connection, process_id: self.process_id })
    }
}

/// Publishes the messages of the outbox in order.
async fn publish_outbox(mut connection: ConnectionManager, channel: String, mut outgoing: mpsc::Receiver<OutboxItem>) {
    while let Some(next) = outgoing.recv().await {
        let envelope = match next {
            OutboxItem::Message(envelope) => envelope,
            OutboxItem::Flush(sent) => {
                let _ = sent.send(());
                continue;
            }
        };
        let mut publish = redis::cmd("PUBLISH");
        if let Err(error) = publish.arg(&channel).arg(envelope).query_async::<()>(&mut connection).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "publishing to other processes failed");
        }
    }
}

/// A subscription to the messages of other processes.
pub(crate) struct PeerSubscription {
    connection: PubSub,
    process_id: Uuid,
}

impl PeerSubscription {
    /// Waits for the next message of another process; `None` when the connection is lost.
    pub(crate) async fn next_message(&mut self) -> Option<(ProposalRef, PeerMessage)> {
        let mut messages = self.connection.on_message();
        loop {
            let message = messages.next().await?;
            let Ok(envelope) = serde_json::from_slice::<PeerEnvelope>(message.get_payload_bytes()) else { continue };
            if envelope.from == self.process_id {
                continue;
            }
            let peer_message = match envelope.kind {
                PeerMessageKind::Updates => Some(PeerMessage::Updates),
                PeerMessageKind::Awareness => {
                    editor_message::read_awareness(&envelope.body).ok().map(PeerMessage::Awareness)
                }
                PeerMessageKind::AwarenessQuery => Some(PeerMessage::AwarenessQuery),
            };
            let tenant = TenantId::try_new(&envelope.tenant).ok();
            if let (Some(tenant), Some(peer_message)) = (tenant, peer_message) {
                return Some((ProposalRef { tenant, proposal: ProposalId::new(envelope.proposal) }, peer_message));
            }
        }
    }
}
