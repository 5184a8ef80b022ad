//! Shared editing of a proposal over a WebSocket, in the protocol of `y-websocket`, so that Yjs editors work unchanged.
//!
//! Browsers cannot send headers with a WebSocket. They offer the subprotocol `medhub-together`, and beside it
//! `bearer.<token>` and, for members of several companies, `tenant.<company>`: subprotocols are not part of the URL,
//! which logs and proxies record.
//!
//! A connection can outlive its editor's rights: they are checked before each message in both directions, and
//! periodically without messages. Messages are charged like requests; a provider that is disconnected for sending too
//! many reconnects and sends all its changes in one message.

use std::time::Duration;

use axum::{
    Extension,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use collaboration::{DisconnectReason, RefusedUpdate, RoomConnection, RoomEvent, TextError};
use domain::{
    clock::{Clock, SystemClock},
    value::ProposalId,
};
use futures::{SinkExt, StreamExt};
use tokio::time::MissedTickBehavior;

use super::{HttpState, graphql_websocket::heartbeat, socket_metrics::OpenSocket};
use crate::{
    auth::{Credentials, Principal},
    http::{
        problem::Problem,
        request_gate::{self, ClientAddress, RequestGate},
    },
    tenant_commands::{self, CommandFailure},
};

const SHARED_EDITING_PROTOCOL: &str = "medhub-together";

/// Capacity of the queue to the writer; one message may be a whole text.
const MAX_PENDING_MESSAGES: usize = 1;

/// Time limit for opening the room of a proposal.
const ROOM_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the rights of a connection are checked while it receives nothing.
const REAUTHENTICATION_INTERVAL: Duration = Duration::from_secs(2);

/// Close codes, modelled on HTTP status codes.
mod close_code {
    /// The message is malformed or not acceptable.
    pub(super) const INVALID_MESSAGE: u16 = 4400;
    /// The token has expired.
    pub(super) const UNAUTHENTICATED: u16 = 4401;
    /// The caller has no right to do this, or lost it.
    pub(super) const FORBIDDEN: u16 = 4403;
    /// The proposal is no longer a draft.
    pub(super) const PROPOSAL_CLOSED: u16 = 4409;
    /// The client does not keep up with messages.
    pub(super) const TOO_SLOW: u16 = 4408;
    /// The client sent too many messages.
    pub(super) const RATE_LIMITED: u16 = 4429;
    /// The service is stopping or a store is unavailable; reconnect later (RFC 6455's registry: "try again later").
    pub(super) const TRY_AGAIN_LATER: u16 = 1013;
}

/// Opens a WebSocket into the room of a proposal, or answers with a problem.
pub(super) async fn open_room_socket(
    State(state): State<HttpState>,
    Path(proposal): Path<String>,
    Extension(principal): Extension<Principal>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let offered = OfferedProtocols::from_headers(&headers);
    let Some(gate) = state.gate.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let principal = match offered.credentials {
        None => principal,
        Some(credentials) => match gate.identify(&credentials, &address).await {
            Ok(principal) => principal,
            Err(error) => return request_gate::admission_problem(&error),
        },
    };
    let connection = EditingConnection { gate, principal, address, ping_every: state.ping_every };
    match upgrade {
        Err(rejection) => rejection.into_response(),
        Ok(_) if !offered.supports_protocol => {
            let reason = format!("the WebSocket must offer the protocol {SHARED_EDITING_PROTOCOL}");
            Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason).into_response()
        }
        Ok(upgrade) => {
            connection.join_room(&state, &proposal, upgrade).await.unwrap_or_else(IntoResponse::into_response)
        }
    }
}

/// The subprotocols that a client offers.
struct OfferedProtocols {
    supports_protocol: bool,
    credentials: Option<Credentials>,
}

impl OfferedProtocols {
    fn from_headers(headers: &HeaderMap) -> Self {
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offered: Vec<_> =
            offered.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim).collect();
        let value_of = |prefix: &str| offered.iter().find_map(|protocol| protocol.strip_prefix(prefix));
        let token = value_of("bearer.").map(|token| format!("Bearer {token}"));
        let tenant = value_of("tenant.").map(str::to_owned);
        Self {
            supports_protocol: offered.contains(&SHARED_EDITING_PROTOCOL),
            credentials: token.map(|token| Credentials { authorization: Some(token), tenant }),
        }
    }
}

struct EditingConnection {
    gate: RequestGate,
    principal: Principal,
    address: ClientAddress,
    ping_every: Duration,
}

impl EditingConnection {
    /// Joins the room of a proposal of the caller's company and upgrades the connection.
    async fn join_room(
        self,
        state: &HttpState,
        proposal: &str,
        upgrade: WebSocketUpgrade,
    ) -> Result<Response, Problem> {
        let missing = || Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "your company has no such proposal");
        let tenant = tenant_commands::readable_tenant(&self.principal)?;
        let proposal = ProposalId::parse(proposal).map_err(|_| missing())?;
        let rooms = state.rooms.clone().ok_or_else(missing)?;
        // A connection in a room is always busy, so that it is never evicted as idle.
        let permit = state
            .socket_permits
            .acquire(self.principal.rate_limit_subject.client_key(self.address.as_str()))
            .map(|permit| permit.mark_busy());
        let permit =
            permit.map_err(|error| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", error.to_string()))?;
        let join = tokio::time::timeout(ROOM_OPEN_TIMEOUT, rooms.join(tenant, proposal, self.principal.user())).await;
        let room = join.unwrap_or(Err(TextError::Busy)).map_err(|error| match error {
            TextError::NotFound => missing(),
            TextError::Postgres { .. }
            | TextError::EventStore(_)
            | TextError::CorruptText { .. }
            | TextError::Busy
            | TextError::Redis(_) => CommandFailure::unavailable(&error).into(),
        })?;
        let upgrade = upgrade.protocols([SHARED_EDITING_PROTOCOL]).max_message_size(state.max_message_bytes);
        Ok(upgrade.on_upgrade(async move |socket| {
            self.serve(socket, room).await;
            drop(permit);
        }))
    }

    async fn serve(self, socket: WebSocket, mut room: RoomConnection) {
        let mut open = OpenSocket::open("shared_editing");
        let (sink, stream) = socket.split();
        let (mut outgoing, writer) = heartbeat::spawn_writer(sink, self.ping_every, MAX_PENDING_MESSAGES);
        let mut incoming = heartbeat::read_messages(stream, heartbeat::silence_limit(self.ping_every));
        let expired = async {
            match self.principal.expires_at {
                None => std::future::pending().await,
                Some(end) => tokio::time::sleep((end - SystemClock.now()).to_std().unwrap_or_default()).await,
            }
        };
        tokio::pin!(expired);
        let mut checks = tokio::time::interval(REAUTHENTICATION_INTERVAL);
        checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let close = loop {
            tokio::select! {
                () = &mut expired => break Some((close_code::UNAUTHENTICATED, "the token has expired".to_owned())),
                _ = checks.tick() => {
                    if let Err(close) = self.reauthenticate().await {
                        break Some(close);
                    }
                }
                event = room.next_event() => match event {
                    Some(RoomEvent::Message(bytes)) => {
                        if let Err(close) = self.reauthenticate().await {
                            break Some(close);
                        }
                        if outgoing.send(Message::Binary(bytes)).await.is_err() {
                            break None;
                        }
                    }
                    Some(RoomEvent::Disconnected(reason)) => break Some(close_reason(&reason)),
                    None => break Some((close_code::TOO_SLOW, DisconnectReason::TooSlow.to_string())),
                },
                message = incoming.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Err(close) = self.apply_message(&room, bytes.into()).await {
                            break Some(close);
                        }
                    }
                    Some(Ok(Message::Text(_))) => break Some(close_reason(&RefusedUpdate::Malformed.into())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                },
            }
        };
        drop(room);
        if let Some((code, reason)) = close {
            open.mark_closed_by_server();
            let _ =
                outgoing.send(Message::Close(Some(CloseFrame { code, reason: truncate_reason(&reason).into() }))).await;
            heartbeat::drain(incoming).await;
        }
        drop(outgoing);
        writer.finish().await;
    }

    async fn apply_message(&self, room: &RoomConnection, bytes: Vec<u8>) -> Result<(), (u16, String)> {
        let principal = self.reauthenticate().await?;
        self.gate
            .charge_request(&principal, &self.address)
            .await
            .map_err(|error| (close_code::RATE_LIMITED, error.to_string()))?;
        room.send_message(bytes, tenant_commands::require_contributor(&principal).is_ok())
            .await
            .map_err(|reason| close_reason(&reason))
    }

    /// Returns the caller with its current authority, which must at least allow reading: the connection may outlive the
    /// caller's role and token.
    async fn reauthenticate(&self) -> Result<Principal, (u16, String)> {
        let principal = self.gate.reauthenticate(&self.principal).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "authentication backend unavailable");
            close_reason(&DisconnectReason::TryAgainLater)
        })?;
        match tenant_commands::readable_tenant(&principal) {
            Ok(_) => Ok(principal),
            Err(failure @ CommandFailure::Unauthenticated) => Err((close_code::UNAUTHENTICATED, failure.to_string())),
            Err(failure) => Err((close_code::FORBIDDEN, failure.to_string())),
        }
    }
}

fn close_reason(reason: &DisconnectReason) -> (u16, String) {
    let code = match reason {
        DisconnectReason::Refused(RefusedUpdate::ReadOnly) => close_code::FORBIDDEN,
        DisconnectReason::Refused(RefusedUpdate::NotDraft { .. }) => close_code::PROPOSAL_CLOSED,
        DisconnectReason::Refused(
            RefusedUpdate::Malformed
            | RefusedUpdate::InvalidSectionName { .. }
            | RefusedUpdate::TooManySections
            | RefusedUpdate::InvalidContent { .. }
            | RefusedUpdate::NotText { .. }
            | RefusedUpdate::TooLarge { .. }
            | RefusedUpdate::TooManyBlocks { .. }
            | RefusedUpdate::InvalidAwareness,
        ) => close_code::INVALID_MESSAGE,
        DisconnectReason::TooSlow => close_code::TOO_SLOW,
        DisconnectReason::TryAgainLater => close_code::TRY_AGAIN_LATER,
    };
    (code, reason.to_string())
}

/// Truncates a reason to the 123 bytes that a close frame allows (RFC 6455, section 5.5).
fn truncate_reason(reason: &str) -> String {
    const MAX_REASON_BYTES: usize = 123;
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn credentials_are_read_from_the_subprotocols() {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("medhub-together, bearer.a.b-c_d"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("tenant.acme"));
        let offered = OfferedProtocols::from_headers(&headers);
        let credentials = offered.credentials.unwrap();
        assert!(offered.supports_protocol);
        assert_eq!(
            (credentials.authorization.as_deref(), credentials.tenant.as_deref()),
            (Some("Bearer a.b-c_d"), Some("acme"))
        );
        assert!(OfferedProtocols::from_headers(&HeaderMap::new()).credentials.is_none());
    }

    #[test]
    fn a_long_reason_is_truncated() {
        assert_eq!(truncate_reason("short"), "short");
        assert_eq!(truncate_reason(&"é".repeat(100)).len(), 122);
    }
}
