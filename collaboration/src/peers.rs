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
use uuid::Uuid;
use yrs::{
    sync::AwarenessUpdate,
    updates::{decoder::Decode, encoder::Encode},
};

use crate::{Place, error::TextError};

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

/// The way to other processes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Peers {
    client: Client,
    connection: ConnectionManager,
    channel: String,
    own: Uuid,
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
        Ok(Self { client, connection, channel: format!("{}together", config.prefix), own: Uuid::new_v4() })
    }

    /// Tells the others; where they cannot be told, they see it a little later.
    pub(crate) async fn tell(&self, place: &Place, word: &Word) {
        let (kind, body) = match word {
            Word::Updates => (Kind::Updates, Vec::new()),
            Word::Presence(update) => (Kind::Presence, update.encode_v1()),
            Word::Asks => (Kind::Asks, Vec::new()),
        };
        let envelope =
            Envelope { from: self.own, tenant: place.tenant.to_string(), proposal: place.proposal.uuid(), kind, body };
        let Ok(envelope) = serde_json::to_vec(&envelope) else { return };
        let mut connection = self.connection.clone();
        let mut call = redis::cmd("PUBLISH");
        if let Err(error) = call.arg(&self.channel).arg(envelope).query_async::<()>(&mut connection).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "other processes are not told of a shared text");
        }
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
                Kind::Presence => AwarenessUpdate::decode_v1(&envelope.body).ok().map(Word::Presence),
                Kind::Asks => Some(Word::Asks),
            };
            let tenant = TenantId::try_new(&envelope.tenant).ok();
            if let (Some(tenant), Some(word)) = (tenant, word) {
                return Some((Place { tenant, proposal: ProposalId::new(envelope.proposal) }, word));
            }
        }
    }
}
