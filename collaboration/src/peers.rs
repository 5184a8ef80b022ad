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

use crate::{Place, error::TextError, message};

/// Longest wait for one answer: nobody waits for what only makes it sooner.
const PATIENCE: Duration = Duration::from_millis(500);

/// Where processes meet.
#[derive(Debug, Clone)]
pub struct PeersConfig {
    /// The `Redis` server; may hold user, password and database.
    pub url: String,
    /// What names begin with.
    pub prefix: String,
}

/// What is told of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// There are new updates.
    Updates,
    /// Who is there, in another process.
    Presence(AwarenessUpdate),
    /// Somebody wants to know who is there.
    Asks,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    from: Uuid,
    tenant: String,
    proposal: Uuid,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Updates,
    Presence,
    Asks,
}

/// Messages on their way to other processes; beyond that they are dropped, since a server that stands still must not
/// hold up those who write.
const UNDER_WAY: usize = 1_024;

/// The way to other processes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Peers {
    client: Client,
    outbox: mpsc::Sender<Outgoing>,
    channel: String,
    own: Uuid,
}

/// What is on its way.
enum Outgoing {
    Message(Vec<u8>),
    /// Everything before it was sent.
    Flush(oneshot::Sender<()>),
}

impl Peers {
    /// Over that server. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the URL is none.
    pub(crate) fn new(config: &PeersConfig) -> Result<Self, TextError> {
        let client = Client::open(config.url.as_str()).map_err(TextError::Redis)?;
        let manager = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), manager).map_err(TextError::Redis)?;
        let channel = format!("{}together", config.prefix);
        let (outbox, outgoing) = mpsc::channel(UNDER_WAY);
        // Ends with the last clone.
        tokio::spawn(publish(connection, channel.clone(), outgoing));
        Ok(Self { client, outbox, channel, own: Uuid::new_v4() })
    }

    /// Tells the others, without waiting for it; where they cannot be told, they see it a little later.
    pub(crate) fn tell(&self, place: &Place, word: &Word) {
        let (kind, body) = match word {
            Word::Updates => (Kind::Updates, Vec::new()),
            Word::Presence(update) => (Kind::Presence, update.encode_v1()),
            Word::Asks => (Kind::Asks, Vec::new()),
        };
        let envelope =
            Envelope { from: self.own, tenant: place.tenant.to_string(), proposal: place.proposal.uuid(), kind, body };
        let Ok(envelope) = serde_json::to_vec(&envelope) else { return };
        if self.outbox.try_send(Outgoing::Message(envelope)).is_err() {
            tracing::debug!("other processes are not told of a shared text: too much is on its way to them");
        }
    }

    /// Waits until everything is sent, for a moment.
    pub(crate) async fn flush(&self) {
        let (sent, is_sent) = oneshot::channel();
        let flush = async {
            if self.outbox.send(Outgoing::Flush(sent)).await.is_ok() {
                let _ = is_sent.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flush).await;
    }

    /// Begins to listen to the others.
    ///
    /// # Errors
    /// [`TextError::Redis`] when the server is away.
    pub(crate) async fn listen(&self) -> Result<Listening, TextError> {
        let mut connection = self.client.get_async_pubsub().await.map_err(TextError::Redis)?;
        connection.subscribe(&self.channel).await.map_err(TextError::Redis)?;
        Ok(Listening { connection, own: self.own })
    }
}

/// Sends what is told, one after the other.
async fn publish(mut connection: ConnectionManager, channel: String, mut outgoing: mpsc::Receiver<Outgoing>) {
    while let Some(next) = outgoing.recv().await {
        let envelope = match next {
            Outgoing::Message(envelope) => envelope,
            Outgoing::Flush(sent) => {
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
pub(crate) struct Listening {
    connection: PubSub,
    own: Uuid,
}

impl Listening {
    /// The next word of another process; `None` when the connection is lost.
    pub(crate) async fn next(&mut self) -> Option<(Place, Word)> {
        let mut messages = self.connection.on_message();
        loop {
            let message = messages.next().await?;
            let Ok(envelope) = serde_json::from_slice::<Envelope>(message.get_payload_bytes()) else { continue };
            if envelope.from == self.own {
                continue;
            }
            let word = match envelope.kind {
                Kind::Updates => Some(Word::Updates),
                Kind::Presence => message::read_awareness(&envelope.body).ok().map(Word::Presence),
                Kind::Asks => Some(Word::Asks),
            };
            let tenant = TenantId::try_new(&envelope.tenant).ok();
            if let (Some(tenant), Some(word)) = (tenant, word) {
                return Some((Place { tenant, proposal: ProposalId::new(envelope.proposal) }, word));
            }
        }
    }
}
