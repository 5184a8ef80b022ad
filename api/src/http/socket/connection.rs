//! One connection that speaks `graphql-transport-ws`, from its beginning to its end.
//!
//! ```text
//! opened ──connection_init──▶ begun ──subscribe──▶ document under way ──next...──▶ complete | error
//!    │ nothing in time           │ token ends, and no ping brought a fresh one
//!    ▼                           ▼
//! closed 4408                 closed 4403
//! ```
//! One that does nothing is closed with 1013 where others need its place.

use std::{future::pending, time::Duration};

use axum::extract::ws::{CloseFrame, Message};
use chrono::{DateTime, Utc};
use domain::clock::{Clock, SystemClock};
use futures::{SinkExt, Stream, StreamExt, channel::mpsc};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep_until};

use super::{
    Client,
    close_code::CloseCode,
    message::{ClientMessage, ServerMessage},
    operations::{OperationProgress, Operations},
};
use crate::{
    graphql::{GraphQl, Session, is_request_error},
    http::{door::Refusal, graphql_request},
    identity::Unauthenticated,
};

/// Longest id of a document, in bytes.
const LONGEST_ID: usize = 256;

/// Longest wait for an end: a timer of ours is set for no longer, and again.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// One connection.
pub(super) struct Connection {
    pub(super) graphql: GraphQl,
    pub(super) client: Client,
    /// Takes what the client is told.
    pub(super) out: mpsc::Sender<Message>,
    /// Who it is, once it has begun.
    session: Option<Session>,
    operations: Operations,
    time_limit: Duration,
    /// When it is closed unless something happens before.
    deadline: Option<Instant>,
}

/// Why a connection is over.
enum ConnectionEnd {
    /// The client is gone.
    Gone,
    /// We close it.
    Close(CloseFrame),
}

impl From<(CloseCode, &str)> for ConnectionEnd {
    fn from((code, reason): (CloseCode, &str)) -> Self {
        Self::Close(code.frame(reason))
    }
}

impl Connection {
    /// One that has to begin within `patience`; its documents may run for `time_limit`.
    pub(super) fn new(
        graphql: GraphQl,
        client: Client,
        out: mpsc::Sender<Message>,
        patience: Duration,
        time_limit: Duration,
    ) -> Self {
        let deadline = Some(Instant::now() + patience);
        Self { graphql, client, out, session: None, operations: Operations::default(), time_limit, deadline }
    }

    /// Serves the client until one of both ends it.
    pub(super) async fn serve(mut self, mut incoming: impl Stream<Item = Result<Message, axum::Error>> + Unpin) {
        let place = self.client.place.clone();
        let end = loop {
            let step = tokio::select! {
                () = place.gives_way() => {
                    let reason = "others need the place of a connection that does nothing";
                    Err((CloseCode::TryAgainLater, reason).into())
                }
                message = incoming.next() => self.hear(message).await,
                progress = self.operations.next() => self.tell_progress(progress).await,
                () = until(self.deadline) => self.at_deadline(),
            };
            if let Err(end) = step {
                break end;
            }
        };
        if let ConnectionEnd::Close(frame) = end {
            // A client that is gone already cannot be told.
            let _ = self.out.send(Message::Close(Some(frame))).await;
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), ConnectionEnd> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err((CloseCode::InvalidMessage, "messages are text").into()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(ConnectionEnd::Gone),
        };
        let message = graphql_request::read::<ClientMessage>("the message", text.as_bytes());
        match message.map_err(|error| ConnectionEnd::from((CloseCode::InvalidMessage, error.to_string().as_str())))? {
            ClientMessage::ConnectionInit { payload } => self.begin(payload.unwrap_or_default()).await,
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload),
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
            ClientMessage::Ping { payload } => self.answer_ping(payload.unwrap_or_default()).await,
            ClientMessage::Pong {} => Ok(()),
        }
    }

    async fn begin(&mut self, payload: Map<String, Value>) -> Result<(), ConnectionEnd> {
        if self.session.is_some() {
            return Err((CloseCode::TooManyInitialisations, "Too many initialisation requests").into());
        }
        let identity = self.client.identify(&payload).await.map_err(|refusal| closed_by(&refusal))?;
        let Client { door, address, place, .. } = &self.client;
        let session = Session::new(identity, door.clone(), address.clone(), place.clone(), self.time_limit);
        self.deadline = session.expires_at().map(instant);
        self.session = Some(session);
        self.tell(&ServerMessage::ConnectionAck).await
    }

    fn subscribe(&mut self, id: String, payload: graphql_request::Parameters) -> Result<(), ConnectionEnd> {
        let Some(session) = &self.session else { return Err((CloseCode::Unauthorized, "Unauthorized").into()) };
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err((CloseCode::InvalidMessage, "the id is empty or too long").into());
        }
        if self.operations.has(&id) {
            let reason = format!("Subscriber for {id} already exists");
            return Err((CloseCode::SubscriberAlreadyExists, reason.as_str()).into());
        }
        let request = payload.into_request();
        let request =
            request.map_err(|error| ConnectionEnd::from((CloseCode::InvalidMessage, error.to_string().as_str())))?;
        let answers = session.run(&self.graphql, request);
        self.operations.add(id, answers);
        Ok(())
    }

    /// A ping with `authorization` in its payload renews the connection: documents under way go on. The answer says until
    /// when, or why not.
    async fn answer_ping(&mut self, payload: Map<String, Value>) -> Result<(), ConnectionEnd> {
        let renews = Client::said(&payload, "authorization").is_some();
        let payload = match &mut self.session {
            Some(session) if renews => Some(match self.client.identify(&payload).await {
                Ok(identity) => {
                    if session.renew(identity) {
                        self.deadline = session.expires_at().map(instant);
                        json!({ "expiresAt": session.expires_at() })
                    } else {
                        json!({ "error": "the token is not of the one who began this connection" })
                    }
                }
                Err(refusal) => json!({ "error": refusal.to_string() }),
            }),
            Some(_) | None => None,
        };
        self.tell(&ServerMessage::Pong { payload }).await
    }

    async fn tell_progress(&mut self, progress: OperationProgress) -> Result<(), ConnectionEnd> {
        match progress {
            OperationProgress::Answer(id, answer) if is_request_error(&answer) => {
                self.operations.remove(&id);
                self.tell(&ServerMessage::Error { id: &id, payload: &answer.errors }).await
            }
            OperationProgress::Answer(id, answer) => {
                self.tell(&ServerMessage::Next { id: &id, payload: &answer }).await
            }
            OperationProgress::End(id) => self.tell(&ServerMessage::Complete { id: &id }).await,
        }
    }

    /// The time is over; or not yet, where the end is farther away than a timer reaches.
    fn at_deadline(&mut self) -> Result<(), ConnectionEnd> {
        let Some(session) = &self.session else {
            return Err((CloseCode::InitialisationTimeout, "Connection initialisation timeout").into());
        };
        match session.expires_at() {
            Some(end) if end > SystemClock.now() => {
                self.deadline = Some(instant(end));
                Ok(())
            }
            _ => Err((CloseCode::Forbidden, "the token has expired, connect again with a fresh one").into()),
        }
    }

    async fn tell(&mut self, message: &ServerMessage<'_>) -> Result<(), ConnectionEnd> {
        let text = match serde_json::to_string(message) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an answer cannot be written as JSON");
                return Err(ConnectionEnd::Gone);
            }
        };
        self.out.send(Message::text(text)).await.map_err(|_| ConnectionEnd::Gone)
    }
}

/// How a connection ends whose client cannot be identified.
fn closed_by(refusal: &Refusal) -> ConnectionEnd {
    let code = match refusal {
        Refusal::TooMany(_) | Refusal::NoPlace(_) | Refusal::Unauthenticated(Unauthenticated::Unavailable(_)) => {
            CloseCode::TryAgainLater
        }
        Refusal::Unauthenticated(_) => CloseCode::Forbidden,
    };
    (code, refusal.to_string().as_str()).into()
}

/// A time on the clock of timers.
fn instant(at: DateTime<Utc>) -> Instant {
    let left = (at - SystemClock.now()).to_std().unwrap_or_default();
    Instant::now() + left.min(LONGEST_WAIT)
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
