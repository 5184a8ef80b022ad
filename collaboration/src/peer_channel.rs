//! What processes tell each other about rooms, over `Redis`: that there is something new, and who is there.
//!
//! Nothing depends on it but how soon others see it: the text is in Postgres, where every room looks by itself.

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

/// Longest wait for one answer: nobody waits for what only makes it sooner.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Where processes meet.
#[derive(Debug, Clone)]
pub struct PeerChannelConfig {
    /// The `Redis` server; may hold user, password and database.
    pub url: String,
    /// What names begin with.
    pub prefix: String,
}

/// What is told of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PeerMessage {
    /// There are new updates.
    Updates,
    /// Who is there, in another process.
    Awareness(AwarenessUpdate),
    /// Somebody wants to know who is there.
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
    Presence,
    Asks,
}

/// Messages on their way to other processes; beyond that they are dropped, since a server that stands still must not
/// hold up those who write.
const OUTBOX_LENGTH: usize = 1_024;

/// The way to other processes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PeerChannel {
    client: Client,
    outbox: mpsc::Sender<OutboxItem>,
    channel: String,
    process_id: Uuid,
}

/// What is on its way.
enum OutboxItem {
    Message(Vec<u8>),
    /// Everything before it was sent.
    Flush(oneshot::Sender<()>),
}

impl PeerChannel {
    /// Over that server. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the URL is none.
    pub(crate) fn new(config: &PeerChannelConfig) -> Result<Self, TextError> {
        let client = Client::open(config.url.as_str()).map_err(TextError::Redis)?;
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), manager).map_err(TextError::Redis)?;
        let channel = format!("{}together", config.prefix);
        let (outbox, outgoing) = mpsc::channel(OUTBOX_LENGTH);
        // Ends with the last clone.
        tokio::spawn(publish_outbox(connection, channel.clone(), outgoing));
        Ok(Self { client, outbox, channel, process_id: Uuid::new_v4() })
    }

    /// Tells the others, without waiting for it; where they cannot be told, they see it a little later.
    pub(crate) fn publish(&self, place: &ProposalRef, word: &PeerMessage) {
        let (kind, body) = match word {
            PeerMessage::Updates => (PeerMessageKind::Updates, Vec::new()),
            PeerMessage::Awareness(update) => (PeerMessageKind::Presence, update.encode_v1()),
            PeerMessage::AwarenessQuery => (PeerMessageKind::Asks, Vec::new()),
        };
        let envelope = PeerEnvelope {
            from: self.process_id,
            tenant: place.tenant.to_string(),
            proposal: place.proposal.uuid(),
            kind,
            body,
        };
        let Ok(envelope) = serde_json::to_vec(&envelope) else { return };
        if self.outbox.try_send(OutboxItem::Message(envelope)).is_err() {
            tracing::debug!("other processes are not told of a shared text: too much is on its way to them");
        }
    }

    /// Waits until everything is sent, for a moment.
    pub(crate) async fn flush(&self) {
        let (sent, is_sent) = oneshot::channel();
        let flush = async {
            if self.outbox.send(OutboxItem::Flush(sent)).await.is_ok() {
                let _ = is_sent.await;
            }
        };
        let _ = tokio::time::timeout(RESPONSE_TIMEOUT, flush).await;
    }

    /// Begins to listen to the others.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the server is away.
    pub(crate) async fn subscribe(&self) -> Result<PeerSubscription, TextError> {
        let mut connection = self.client.get_async_pubsub().await.map_err(TextError::Redis)?;
        connection.subscribe(&self.channel).await.map_err(TextError::Redis)?;
        Ok(PeerSubscription { connection, process_id: self.process_id })
    }
}

/// Sends what is told, one after the other.
async fn publish_outbox(mut connection: ConnectionManager, channel: String, mut outgoing: mpsc::Receiver<OutboxItem>) {
    while let Some(next) = outgoing.recv().await {
        let envelope = match next {
            OutboxItem::Message(envelope) => envelope,
            OutboxItem::Flush(sent) => {
                let _ = sent.send(());
                continue;
            }
        };
        let mut call = redis::cmd("PUBLISH");
        if let Err(error) = call.arg(&channel).arg(envelope).query_async::<()>(&mut connection).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "other processes are not told of a shared text");
        }
    }
}

/// A connection on which others are heard.
pub(crate) struct PeerSubscription {
    connection: PubSub,
    process_id: Uuid,
}

impl PeerSubscription {
    /// The next word of another process; `None` when the connection is lost.
    pub(crate) async fn next_message(&mut self) -> Option<(ProposalRef, PeerMessage)> {
        let mut messages = self.connection.on_message();
        loop {
            let message = messages.next().await?;
            let Ok(envelope) = serde_json::from_slice::<PeerEnvelope>(message.get_payload_bytes()) else { continue };
            if envelope.from == self.process_id {
                continue;
            }
            let word = match envelope.kind {
                PeerMessageKind::Updates => Some(PeerMessage::Updates),
                PeerMessageKind::Presence => {
                    editor_message::read_awareness(&envelope.body).ok().map(PeerMessage::Awareness)
                }
                PeerMessageKind::Asks => Some(PeerMessage::AwarenessQuery),
            };
            let tenant = TenantId::try_new(&envelope.tenant).ok();
            if let (Some(tenant), Some(word)) = (tenant, word) {
                return Some((ProposalRef { tenant, proposal: ProposalId::new(envelope.proposal) }, word));
            }
        }
    }
}
