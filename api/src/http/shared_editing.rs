//! Writing a proposal together, over a WebSocket in the protocol of `y-websocket`, so that the editors that know Yjs need
//! nothing of ours.
//!
//! Browsers cannot send headers with a WebSocket. They offer `medhub-together` as its protocol, and beside it
//! `bearer.<token>` and, where they are of several companies, `tenant.<company>`: the protocol is no part of the address,
//! which logs and proxies keep.
//!
//! A connection is older than what its editor may: that is asked before each message, in both directions, and while there
//! is none. Messages count as requests do; a provider that is let go for them comes back with all it wrote in one.

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

use super::{
    HttpState,
    graphql_websocket::heartbeat,
    problem::Problem,
    request_gate::{self, ClientAddress, RequestGate},
};
use crate::{
    auth::{Credentials, Principal},
    tenant_commands::{self, CommandFailure},
};

const SHARED_EDITING_PROTOCOL: &str = "medhub-together";

/// Messages on their way to the writer: one may be a whole text.
const MAX_PENDING_MESSAGES: usize = 1;

/// How long the room of a proposal may take to open.
const ROOM_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is asked whether somebody may still listen who is told nothing.
const REAUTHENTICATION_INTERVAL: Duration = Duration::from_secs(2);

/// How long a client that is let go may take to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Codes with which connections end, after those of HTTP.
mod close_code {
    /// The message cannot be taken.
    pub(super) const INVALID_MESSAGE: u16 = 4400;
    /// The token has ended.
    pub(super) const UNAUTHENTICATED: u16 = 4401;
    /// They may not, or not any more.
    pub(super) const FORBIDDEN: u16 = 4403;
    /// The proposal is not written any more.
    pub(super) const PROPOSAL_CLOSED: u16 = 4409;
    /// They took nothing any more.
    pub(super) const TOO_SLOW: u16 = 4408;
    /// They sent too many messages.
    pub(super) const RATE_LIMITED: u16 = 4429;
    /// Come back: the service stops, or a store is away (RFC 6455's registry: "try again later").
    pub(super) const TRY_AGAIN_LATER: u16 = 1013;
}

/// A request's last word, or a WebSocket into the room of a proposal.
pub(super) async fn open_room_socket(
    State(edge): State<HttpState>,
    Path(proposal): Path<String>,
    Extension(begun_as): Extension<Principal>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let offered = OfferedProtocols::from_headers(&headers);
    let Some(door) = edge.gate.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let identity = match offered.credentials {
        None => begun_as,
        Some(shown) => match door.identify(&shown, &address).await {
            Ok(identity) => identity,
            Err(refusal) => return request_gate::admission_error_response(&refusal, false),
        },
    };
    let visit = EditingConnection { gate: door, identity, address, ping_every: edge.ping_every };
    match upgrade {
        Err(rejection) => rejection.into_response(),
        Ok(_) if !offered.supports_protocol => {
            let reason = format!("the WebSocket has to offer the protocol {SHARED_EDITING_PROTOCOL}");
            Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason).into_response()
        }
        Ok(upgrade) => visit.join_room(&edge, &proposal, upgrade).await.unwrap_or_else(IntoResponse::into_response),
    }
}

/// What a client offers as protocols.
struct OfferedProtocols {
    supports_protocol: bool,
    credentials: Option<Credentials>,
}

impl OfferedProtocols {
    fn from_headers(headers: &HeaderMap) -> Self {
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offered: Vec<_> =
            offered.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim).collect();
        let said = |prefix: &str| offered.iter().find_map(|protocol| protocol.strip_prefix(prefix));
        let token = said("bearer.").map(|token| format!("Bearer {token}"));
        let tenant = said("tenant.").map(str::to_owned);
        Self {
            supports_protocol: offered.contains(&SHARED_EDITING_PROTOCOL),
            credentials: token.map(|token| Credentials { authorization: Some(token), tenant }),
        }
    }
}

/// One connection.
struct EditingConnection {
    gate: RequestGate,
    identity: Principal,
    address: ClientAddress,
    ping_every: Duration,
}

impl EditingConnection {
    /// Finds them a seat in the room of their company's proposal.
    async fn join_room(self, edge: &HttpState, proposal: &str, upgrade: WebSocketUpgrade) -> Result<Response, Problem> {
        let missing = || Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "your company has no such proposal");
        let tenant = tenant_commands::readable_tenant(&self.identity)?;
        let proposal = ProposalId::parse(proposal).map_err(|_| missing())?;
        let rooms = edge.rooms.clone().ok_or_else(missing)?;
        // Who writes with others is never taken for idle.
        let place = edge
            .socket_permits
            .acquire(self.identity.rate_limit_subject.client_key(self.address.as_str()))
            .map(|place| place.mark_busy());
        let place =
            place.map_err(|full| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", full.to_string()))?;
        let joining = tokio::time::timeout(ROOM_OPEN_TIMEOUT, rooms.join(tenant, proposal, self.identity.user())).await;
        let seat = joining.unwrap_or(Err(TextError::Busy)).map_err(|error| match error {
            TextError::NotFound => missing(),
            TextError::Postgres { .. }
            | TextError::EventStore(_)
            | TextError::CorruptText { .. }
            | TextError::Busy
            | TextError::Redis(_) => CommandFailure::unavailable(&error).into(),
        })?;
        let upgrade = upgrade.protocols([SHARED_EDITING_PROTOCOL]).max_message_size(edge.max_message_bytes);
        Ok(upgrade.on_upgrade(async move |socket| {
            self.serve(socket, seat).await;
            drop(place);
        }))
    }

    async fn serve(self, socket: WebSocket, mut seat: RoomConnection) {
        let (sink, stream) = socket.split();
        let (mut out, writer) = heartbeat::spawn_writer(sink, self.ping_every, MAX_PENDING_MESSAGES);
        let mut said = heartbeat::read_messages(stream, heartbeat::silence_limit(self.ping_every));
        let expired = async {
            match self.identity.expires_at {
                None => std::future::pending().await,
                Some(end) => tokio::time::sleep((end - SystemClock.now()).to_std().unwrap_or_default()).await,
            }
        };
        tokio::pin!(expired);
        let mut asks = tokio::time::interval(REAUTHENTICATION_INTERVAL);
        asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let farewell = loop {
            tokio::select! {
                () = &mut expired => break Some((close_code::UNAUTHENTICATED, "the token has expired".to_owned())),
                _ = asks.tick() => {
                    if let Err(farewell) = self.reauthenticate().await {
                        break Some(farewell);
                    }
                }
                told = seat.next_event() => match told {
                    Some(RoomEvent::Message(bytes)) => {
                        if let Err(farewell) = self.reauthenticate().await {
                            break Some(farewell);
                        }
                        if out.send(Message::Binary(bytes.into())).await.is_err() {
                            break None;
                        }
                    }
                    Some(RoomEvent::Disconnected(ended)) => break Some(close_reason(&ended)),
                    None => break Some((close_code::TOO_SLOW, DisconnectReason::TooSlow.to_string())),
                },
                message = said.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Err(farewell) = self.apply_message(&seat, bytes.into()).await {
                            break Some(farewell);
                        }
                    }
                    Some(Ok(Message::Text(_))) => break Some(close_reason(&RefusedUpdate::Malformed.into())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                },
            }
        };
        drop(seat);
        if let Some((code, reason)) = farewell {
            let _ = out.send(Message::Close(Some(CloseFrame { code, reason: truncate_reason(&reason).into() }))).await;
            // What the client still sends is read and dropped: with it unread the connection would be reset, and the
            // reason never arrive.
            let rest = async { while let Some(Ok(_)) = said.next().await {} };
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, rest).await;
        }
        drop(out);
        writer.finish().await;
    }

    async fn apply_message(&self, seat: &RoomConnection, bytes: Vec<u8>) -> Result<(), (u16, String)> {
        let identity = self.reauthenticate().await?;
        self.gate
            .charge_request(&identity, &self.address)
            .await
            .map_err(|refusal| (close_code::RATE_LIMITED, refusal.to_string()))?;
        seat.send_message(bytes, tenant_commands::require_contributor(&identity).is_ok())
            .await
            .map_err(|ended| close_reason(&ended))
    }

    /// Who they are with what they may now, which is to read at least: the connection may be older than their role, and
    /// than their token's end.
    async fn reauthenticate(&self) -> Result<Principal, (u16, String)> {
        let identity = self.gate.reauthenticate(&self.identity).await.map_err(|away| {
            tracing::error!(error = &away as &dyn std::error::Error, "nobody can be recognised");
            close_reason(&DisconnectReason::TryAgainLater)
        })?;
        match tenant_commands::readable_tenant(&identity) {
            Ok(_) => Ok(identity),
            Err(undone @ CommandFailure::Unauthenticated) => Err((close_code::UNAUTHENTICATED, undone.to_string())),
            Err(undone) => Err((close_code::FORBIDDEN, undone.to_string())),
        }
    }
}

fn close_reason(ended: &DisconnectReason) -> (u16, String) {
    let code = match ended {
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
    (code, ended.to_string())
}

/// The reason of a close frame has 123 bytes at most (RFC 6455, section 5.5).
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
    fn who_it_is_comes_with_the_protocols() {
        let mut headers = HeaderMap::new();
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("medhub-together, bearer.a.b-c_d"));
        headers.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("tenant.acme"));
        let offered = OfferedProtocols::from_headers(&headers);
        let shown = offered.credentials.unwrap();
        assert!(offered.supports_protocol);
        assert_eq!((shown.authorization.as_deref(), shown.tenant.as_deref()), (Some("Bearer a.b-c_d"), Some("acme")));
        assert!(OfferedProtocols::from_headers(&HeaderMap::new()).credentials.is_none());
    }

    #[test]
    fn a_reason_fits_its_frame() {
        assert_eq!(truncate_reason("short"), "short");
        assert_eq!(truncate_reason(&"é".repeat(100)).len(), 122);
    }
}
