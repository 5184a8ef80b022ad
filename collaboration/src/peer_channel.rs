//! Messages between processes about rooms, over `Redis` pub/sub: new updates and awareness.
//!
//! Losing messages only delays other processes: the text is in Postgres, which every room polls.

use domain::value::{ProposalId, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use yrs::{sync::AwarenessUpdate, updates::encoder::Encode};

use crate::{
    ProposalRef, editor_message,
    error::TextError,
    redis_channel::{PeerChannelConfig, RedisChannel, RedisSubscription},
};

/// Name of the channel, after the prefix.
const CHANNEL_NAME: &str = "together";

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

/// The channel to other processes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct PeerChannel {
    channel: RedisChannel,
    process_id: Uuid,
}

impl PeerChannel {
    /// Creates a channel over the server in `config`. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the URL is invalid.
    pub(crate) fn new(config: &PeerChannelConfig) -> Result<Self, TextError> {
        Ok(Self { channel: RedisChannel::new(config, CHANNEL_NAME)?, process_id: Uuid::new_v4() })
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
        if let Ok(envelope) = serde_json::to_vec(&envelope) {
            self.channel.publish(envelope);
        }
    }

    /// Waits for a short time until all messages are sent.
    pub(crate) async fn flush(&self) {
        self.channel.flush().await;
    }

    /// Subscribes to the messages of other processes.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the server is unavailable.
    pub(crate) async fn subscribe(&self) -> Result<PeerSubscription, TextError> {
        Ok(PeerSubscription { subscription: self.channel.subscribe().await?, process_id: self.process_id })
    }
}

/// A subscription to the messages of other processes.
pub(crate) struct PeerSubscription {
    subscription: RedisSubscription,
    process_id: Uuid,
}

impl PeerSubscription {
    /// Waits for the next message of another process; `None` when the connection is lost.
    pub(crate) async fn next_message(&mut self) -> Option<(ProposalRef, PeerMessage)> {
        loop {
            let message = self.subscription.next_message().await?;
            let Ok(envelope) = serde_json::from_slice::<PeerEnvelope>(&message) else { continue };
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
