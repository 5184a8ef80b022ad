//! One `graphql-transport-ws` connection.
//!
//! ```text
//! opened ──connection_init──▶ initialised ──subscribe──▶ document running ──next...──▶ complete | error
//!    │ timeout                   │ token expires and no ping has renewed it
//!    ▼                           ▼
//! closed 4408                 closed 4403
//! ```
//! An idle connection is closed with 1013 when its permit is needed for another one. So is every connection when the
//! process stops, once its queries and mutations are answered.

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
    heartbeat,
    message::{ClientMessage, ServerMessage},
    operations::{OperationProgress, RunningOperations},
};
use crate::{
    auth::AuthenticationError,
    graphql::{GraphQl, GraphQlSession, is_request_error},
    http::{connection::ServerStop, request_gate::AdmissionError},
    routes::{graphql_request, socket_metrics::OpenSocket},
};

/// Maximum length of the id of a document, in bytes.
const MAX_ID_BYTES: usize = 256;

/// Maximum duration of a timer; for a later deadline it is set again.
const MAX_TIMER: Duration = Duration::from_hours(24);

pub(super) struct SocketConnection {
    pub(super) graphql: GraphQl,
    pub(super) client: SocketClient,
    /// Queue of the messages to the client.
    pub(super) outgoing: mpsc::Sender<Message>,
    stop: ServerStop,
    /// `None` until the connection is initialised.
    session: Option<GraphQlSession>,
    operations: RunningOperations,
    time_limit: Duration,
    /// When the connection is closed: the expiry of the token, or the end of the time to initialise.
    deadline: Option<Instant>,
}

enum ConnectionEnd {
    ClientGone,
    /// The server closes the connection.
    Close(CloseFrame),
}

impl From<(CloseCode, &str)> for ConnectionEnd {
    fn from((code, reason): (CloseCode, &str)) -> Self {
        Self::Close(code.to_frame(reason))
    }
}

impl SocketConnection {
    /// Creates a connection that must be initialised within `init_timeout`; its documents may run for `time_limit`.
    pub(super) fn new(
        graphql: GraphQl,
        client: SocketClient,
        outgoing: mpsc::Sender<Message>,
        stop: ServerStop,
        init_timeout: Duration,
        time_limit: Duration,
    ) -> Self {
        let deadline = Some(Instant::now() + init_timeout);
        Self {
            graphql,
            client,
            outgoing,
            stop,
            session: None,
            operations: RunningOperations::default(),
            time_limit,
            deadline,
        }
    }

    /// Serves the client until either side ends the connection.
    pub(super) async fn serve(mut self, mut incoming: impl Stream<Item = Result<Message, axum::Error>> + Unpin) {
        let mut socket = OpenSocket::open("graphql");
        let unfinished = self.stop.track_socket();
        let permit = self.client.permit.clone();
        let end = loop {
            let step = tokio::select! {
                () = permit.wait_for_eviction() => {
                    let reason = "the idle connection was closed in favour of another one";
                    Err((CloseCode::TryAgainLater, reason).into())
                }
                message = incoming.next(), if !self.stop.has_begun() => self.handle_message(message).await,
                progress = self.operations.next_progress() => self.send_progress(progress).await,
                () = sleep_until_deadline(self.deadline) => self.handle_deadline(),
                () = wait_for_answers(&self.stop, self.session.as_ref()) => {
                    Err((CloseCode::TryAgainLater, "the service is stopping, connect again").into())
                }
            };
            if let Err(end) = step {
                break end;
            }
        };
        if let ConnectionEnd::Close(frame) = end {
            socket.mark_closed_by_server();
            // Fails if the client has disconnected.
            let _ = self.outgoing.send(Message::Close(Some(frame))).await;
            // Documents are not polled any more, and would keep permits that other requests wait for.
            let Self { operations, session, client, outgoing: _outgoing, .. } = self;
            drop((operations, session, client, permit, unfinished));
            heartbeat::drain(incoming).await;
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
        let principal = self.client.identify(&payload).await.map_err(|error| close_for_admission_error(&error))?;
        let SocketClient { gate, address, permit, .. } = &self.client;
        let session = GraphQlSession::new(principal, gate.clone(), address.clone(), permit.clone(), self.time_limit);
        self.deadline = session.expires_at().map(to_instant);
        self.session = Some(session);
        self.send_message(&ServerMessage::ConnectionAck).await
    }

    fn subscribe(&mut self, id: String, payload: graphql_request::RequestParameters) -> Result<(), ConnectionEnd> {
        if self.stop.has_begun() {
            // Not executed, so that the client can send it to another process.
            return Ok(());
        }
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
        let responses = session.run_document(&self.graphql, request);
        self.operations.add(id, responses);
        Ok(())
    }

    /// Answers a ping. With `authorization` in its payload it renews the connection, and running documents continue;
    /// the pong then contains the new expiry, or why the token is refused.
    async fn answer_ping(&mut self, payload: Map<String, Value>) -> Result<(), ConnectionEnd> {
        let renews = SocketClient::payload_text(&payload, "authorization").is_some();
        let payload = match &mut self.session {
            Some(session) if renews => Some(match self.client.identify(&payload).await {
                Ok(principal) => {
                    if session.renew_identity(principal) {
                        self.deadline = session.expires_at().map(to_instant);
                        json!({ "expiresAt": session.expires_at() })
                    } else {
                        json!({ "error": "the token belongs to another principal than this connection" })
                    }
                }
                Err(error) => json!({ "error": error.to_string() }),
            }),
            Some(_) | None => None,
        };
        self.send_message(&ServerMessage::Pong { payload }).await
    }

    async fn send_progress(&mut self, progress: OperationProgress) -> Result<(), ConnectionEnd> {
        match progress {
            OperationProgress::Answer(id, response) if is_request_error(&response) => {
                self.operations.remove(&id);
                self.send_message(&ServerMessage::Error { id: &id, payload: &response.errors }).await
            }
            OperationProgress::Answer(id, response) => {
                self.send_message(&ServerMessage::Next { id: &id, payload: &response }).await
            }
            OperationProgress::End(id) => self.send_message(&ServerMessage::Complete { id: &id }).await,
        }
    }

    /// Handles the end of the timer: closes the connection, or sets the timer again if the token expires later.
    fn handle_deadline(&mut self) -> Result<(), ConnectionEnd> {
        let Some(session) = &self.session else {
            return Err((CloseCode::InitialisationTimeout, "Connection initialisation timeout").into());
        };
        match session.expires_at() {
            Some(expires_at) if expires_at > SystemClock.now() => {
                self.deadline = Some(to_instant(expires_at));
                Ok(())
            }
            _ => Err((CloseCode::Forbidden, "the token has expired, connect again with a fresh one").into()),
        }
    }

    async fn send_message(&mut self, message: &ServerMessage<'_>) -> Result<(), ConnectionEnd> {
        let text = match serde_json::to_string(message) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot serialize a response");
                return Err(ConnectionEnd::ClientGone);
            }
        };
        self.outgoing.send(Message::text(text)).await.map_err(|_| ConnectionEnd::ClientGone)
    }
}

/// Returns when the process stops and every query and mutation of the session is answered.
async fn wait_for_answers(stop: &ServerStop, session: Option<&GraphQlSession>) {
    stop.wait_until_begun().await;
    if let Some(session) = session {
        session.wait_until_answered().await;
    }
}

/// Returns the close frame for a refused admission.
fn close_for_admission_error(error: &AdmissionError) -> ConnectionEnd {
    let code = match error {
        AdmissionError::RateLimited(_)
        | AdmissionError::TooManySockets(_)
        | AdmissionError::Unauthenticated(AuthenticationError::Unavailable(_)) => CloseCode::TryAgainLater,
        AdmissionError::Unauthenticated(_) => CloseCode::Forbidden,
    };
    (code, error.to_string().as_str()).into()
}

/// Converts a wall-clock time to an instant, at most [`MAX_TIMER`] from now.
fn to_instant(at: DateTime<Utc>) -> Instant {
    let remaining = (at - SystemClock.now()).to_std().unwrap_or_default();
    Instant::now() + remaining.min(MAX_TIMER)
}

async fn sleep_until_deadline(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
