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
    SocketClient,
    close_code::CloseCode,
    message::{ClientMessage, ServerMessage},
    operations::{OperationProgress, RunningOperations},
};
use crate::{
    auth::AuthenticationError,
    graphql::{GraphQl, GraphQlSession, is_request_error},
    http::{graphql_request, request_gate::AdmissionError},
};

/// Longest id of a document, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Longest wait for an end: a timer of ours is set for no longer, and again.
const MAX_TIMER: Duration = Duration::from_hours(24);

/// One connection.
pub(super) struct SocketConnection {
    pub(super) graphql: GraphQl,
    pub(super) client: SocketClient,
    /// Takes what the client is told.
    pub(super) outgoing: mpsc::Sender<Message>,
    /// Who it is, once it has begun.
    session: Option<GraphQlSession>,
    operations: RunningOperations,
    time_limit: Duration,
    /// When it is closed unless something happens before.
    deadline: Option<Instant>,
}

/// Why a connection is over.
enum ConnectionEnd {
    /// The client is gone.
    ClientGone,
    /// We close it.
    Close(CloseFrame),
}

impl From<(CloseCode, &str)> for ConnectionEnd {
    fn from((code, reason): (CloseCode, &str)) -> Self {
        Self::Close(code.to_frame(reason))
    }
}

impl SocketConnection {
    /// One that has to begin within `patience`; its documents may run for `time_limit`.
    pub(super) fn new(
        graphql: GraphQl,
        client: SocketClient,
        out: mpsc::Sender<Message>,
        patience: Duration,
        time_limit: Duration,
    ) -> Self {
        let deadline = Some(Instant::now() + patience);
        Self {
            graphql,
            client,
            outgoing: out,
            session: None,
            operations: RunningOperations::default(),
            time_limit,
            deadline,
        }
    }

    /// Serves the client until one of both ends it.
    pub(super) async fn serve(mut self, mut incoming: impl Stream<Item = Result<Message, axum::Error>> + Unpin) {
        let place = self.client.permit.clone();
        let end = loop {
            let step = tokio::select! {
                () = place.wait_for_eviction() => {
                    let reason = "others need the place of a connection that does nothing";
                    Err((CloseCode::TryAgainLater, reason).into())
                }
                message = incoming.next() => self.handle_message(message).await,
                progress = self.operations.next_progress() => self.send_progress(progress).await,
                () = sleep_until_deadline(self.deadline) => self.handle_deadline(),
            };
            if let Err(end) = step {
                break end;
            }
        };
        if let ConnectionEnd::Close(frame) = end {
            // A client that is gone already cannot be told.
            let _ = self.outgoing.send(Message::Close(Some(frame))).await;
        }
    }

    async fn handle_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), ConnectionEnd> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Binary(_))) => return Err((CloseCode::InvalidMessage, "messages are text").into()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(ConnectionEnd::ClientGone),
        };
        let message = graphql_request::read_bounded_json::<ClientMessage>("the message", text.as_bytes());
        match message.map_err(|error| ConnectionEnd::from((CloseCode::InvalidMessage, error.to_string().as_str())))? {
            ClientMessage::ConnectionInit { payload } => self.initialise(payload.unwrap_or_default()).await,
            ClientMessage::Subscribe { id, payload } => self.subscribe(id, payload),
            ClientMessage::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
            ClientMessage::Ping { payload } => self.answer_ping(payload.unwrap_or_default()).await,
            ClientMessage::Pong {} => Ok(()),
        }
    }

    async fn initialise(&mut self, payload: Map<String, Value>) -> Result<(), ConnectionEnd> {
        if self.session.is_some() {
            return Err((CloseCode::TooManyInitialisations, "Too many initialisation requests").into());
        }
        let identity = self.client.identify(&payload).await.map_err(|refusal| close_for_admission_error(&refusal))?;
        let SocketClient { gate: door, address, permit: place, .. } = &self.client;
        let session = GraphQlSession::new(identity, door.clone(), address.clone(), place.clone(), self.time_limit);
        self.deadline = session.expires_at().map(to_instant);
        self.session = Some(session);
        self.send_message(&ServerMessage::ConnectionAck).await
    }

    fn subscribe(&mut self, id: String, payload: graphql_request::RequestParameters) -> Result<(), ConnectionEnd> {
        let Some(session) = &self.session else { return Err((CloseCode::Unauthorized, "Unauthorized").into()) };
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            return Err((CloseCode::InvalidMessage, "the id is empty or too long").into());
        }
        if self.operations.contains(&id) {
            let reason = format!("Subscriber for {id} already exists");
            return Err((CloseCode::SubscriberAlreadyExists, reason.as_str()).into());
        }
        let request = payload.into_request();
        let request =
            request.map_err(|error| ConnectionEnd::from((CloseCode::InvalidMessage, error.to_string().as_str())))?;
        let answers = session.run_document(&self.graphql, request);
        self.operations.add(id, answers);
        Ok(())
    }

    /// A ping with `authorization` in its payload renews the connection: documents under way go on. The answer says until
    /// when, or why not.
    async fn answer_ping(&mut self, payload: Map<String, Value>) -> Result<(), ConnectionEnd> {
        let renews = SocketClient::payload_text(&payload, "authorization").is_some();
        let payload = match &mut self.session {
            Some(session) if renews => Some(match self.client.identify(&payload).await {
                Ok(identity) => {
                    if session.renew_identity(identity) {
                        self.deadline = session.expires_at().map(to_instant);
                        json!({ "expiresAt": session.expires_at() })
                    } else {
                        json!({ "error": "the token is not of the one who began this connection" })
                    }
                }
                Err(refusal) => json!({ "error": refusal.to_string() }),
            }),
            Some(_) | None => None,
        };
        self.send_message(&ServerMessage::Pong { payload }).await
    }

    async fn send_progress(&mut self, progress: OperationProgress) -> Result<(), ConnectionEnd> {
        match progress {
            OperationProgress::Answer(id, answer) if is_request_error(&answer) => {
                self.operations.remove(&id);
                self.send_message(&ServerMessage::Error { id: &id, payload: &answer.errors }).await
            }
            OperationProgress::Answer(id, answer) => {
                self.send_message(&ServerMessage::Next { id: &id, payload: &answer }).await
            }
            OperationProgress::End(id) => self.send_message(&ServerMessage::Complete { id: &id }).await,
        }
    }

    /// The time is over; or not yet, where the end is farther away than a timer reaches.
    fn handle_deadline(&mut self) -> Result<(), ConnectionEnd> {
        let Some(session) = &self.session else {
            return Err((CloseCode::InitialisationTimeout, "Connection initialisation timeout").into());
        };
        match session.expires_at() {
            Some(end) if end > SystemClock.now() => {
                self.deadline = Some(to_instant(end));
                Ok(())
            }
            _ => Err((CloseCode::Forbidden, "the token has expired, connect again with a fresh one").into()),
        }
    }

    async fn send_message(&mut self, message: &ServerMessage<'_>) -> Result<(), ConnectionEnd> {
        let text = match serde_json::to_string(message) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an answer cannot be written as JSON");
                return Err(ConnectionEnd::ClientGone);
            }
        };
        self.outgoing.send(Message::text(text)).await.map_err(|_| ConnectionEnd::ClientGone)
    }
}

/// How a connection ends whose client cannot be identified.
fn close_for_admission_error(refusal: &AdmissionError) -> ConnectionEnd {
    let code = match refusal {
        AdmissionError::RateLimited(_)
        | AdmissionError::TooManySockets(_)
        | AdmissionError::Unauthenticated(AuthenticationError::Unavailable(_)) => CloseCode::TryAgainLater,
        AdmissionError::Unauthenticated(_) => CloseCode::Forbidden,
    };
    (code, refusal.to_string().as_str()).into()
}

/// A time on the clock of timers.
fn to_instant(at: DateTime<Utc>) -> Instant {
    let left = (at - SystemClock.now()).to_std().unwrap_or_default();
    Instant::now() + left.min(MAX_TIMER)
}

async fn sleep_until_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
