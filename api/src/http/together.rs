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
use collaboration::{RefusedUpdate, Seat, SeatEnd, SeatMessage, TextError};
use domain::{
    clock::{Clock, SystemClock},
    value::ProposalId,
};
use futures::{SinkExt, StreamExt};
use tokio::time::MissedTickBehavior;

use super::{
    Edge,
    door::{self, Address, Door},
    problem::Problem,
    socket::alive,
};
use crate::{
    identity::{Credentials, Identity},
    owned::{self, Undone},
};

const PROTOCOL: &str = "medhub-together";

/// Messages on their way to the writer: one may be a whole text.
const UNDER_WAY: usize = 1;

/// How long the room of a proposal may take to open.
const OPENING: Duration = Duration::from_secs(10);

/// How often it is asked whether somebody may still listen who is told nothing.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How long a client that is let go may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(5);

/// Codes with which connections end, after those of HTTP.
mod code {
    /// The message cannot be taken.
    pub(super) const BAD: u16 = 4400;
    /// The token has ended.
    pub(super) const UNAUTHENTICATED: u16 = 4401;
    /// They may not, or not any more.
    pub(super) const FORBIDDEN: u16 = 4403;
    /// The proposal is not written any more.
    pub(super) const CLOSED: u16 = 4409;
    /// They took nothing any more.
    pub(super) const SLOW: u16 = 4408;
    /// They sent too many messages.
    pub(super) const RATE_LIMITED: u16 = 4429;
    /// Come back: the service stops, or a store is away (RFC 6455's registry: "try again later").
    pub(super) const COME_BACK: u16 = 1013;
}

/// A request's last word, or a WebSocket into the room of a proposal.
pub(super) async fn open(
    State(edge): State<Edge>,
    Path(proposal): Path<String>,
    Extension(begun_as): Extension<Identity>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let offered = Offered::of(&headers);
    let Some(door) = edge.door.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let identity = match offered.shown {
        None => begun_as,
        Some(shown) => match door.identify(&shown, &address).await {
            Ok(identity) => identity,
            Err(refusal) => return door::refused(&refusal, false),
        },
    };
    let visit = Visit { door, identity, address, ping_every: edge.ping_every };
    match upgrade {
        Err(rejection) => rejection.into_response(),
        Ok(_) if !offered.speaks => {
            let reason = format!("the WebSocket has to offer the protocol {PROTOCOL}");
            Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason).into_response()
        }
        Ok(upgrade) => visit.begin(&edge, &proposal, upgrade).await.unwrap_or_else(IntoResponse::into_response),
    }
}

/// What a client offers as protocols.
struct Offered {
    speaks: bool,
    shown: Option<Credentials>,
}

impl Offered {
    fn of(headers: &HeaderMap) -> Self {
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        let offered: Vec<_> =
            offered.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim).collect();
        let said = |prefix: &str| offered.iter().find_map(|protocol| protocol.strip_prefix(prefix));
        let token = said("bearer.").map(|token| format!("Bearer {token}"));
        let tenant = said("tenant.").map(str::to_owned);
        Self {
            speaks: offered.contains(&PROTOCOL),
            shown: token.map(|token| Credentials { authorization: Some(token), tenant }),
        }
    }
}

/// One connection.
struct Visit {
    door: Door,
    identity: Identity,
    address: Address,
    ping_every: Duration,
}

impl Visit {
    /// Finds them a seat in the room of their company's proposal.
    async fn begin(self, edge: &Edge, proposal: &str, upgrade: WebSocketUpgrade) -> Result<Response, Problem> {
        let missing = || Problem::new(StatusCode::NOT_FOUND, "NOT_FOUND", "your company has no such proposal");
        let tenant = owned::reader(&self.identity)?;
        let proposal = ProposalId::parse(proposal).map_err(|_| missing())?;
        let rooms = edge.rooms.clone().ok_or_else(missing)?;
        // Who writes with others is never taken for idle.
        let place = edge.sockets.take(self.identity.counted.client(self.address.as_str())).map(|place| place.busy());
        let place =
            place.map_err(|full| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", full.to_string()))?;
        let joining = tokio::time::timeout(OPENING, rooms.join(tenant, proposal, self.identity.user())).await;
        let seat = joining.unwrap_or(Err(TextError::Busy)).map_err(|error| match error {
            TextError::NotFound => missing(),
            TextError::Postgres { .. }
            | TextError::Log(_)
            | TextError::Kept { .. }
            | TextError::Busy
            | TextError::Redis(_) => Undone::unavailable(&error).into(),
        })?;
        let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(edge.max_message_bytes);
        Ok(upgrade.on_upgrade(async move |socket| {
            self.serve(socket, seat).await;
            drop(place);
        }))
    }

    async fn serve(self, socket: WebSocket, mut seat: Seat) {
        let (sink, stream) = socket.split();
        let (mut out, writer) = alive::write(sink, self.ping_every, UNDER_WAY);
        let mut said = alive::read(stream, alive::silence(self.ping_every));
        let expired = async {
            match self.identity.expires_at {
                None => std::future::pending().await,
                Some(end) => tokio::time::sleep((end - SystemClock.now()).to_std().unwrap_or_default()).await,
            }
        };
        tokio::pin!(expired);
        let mut asks = tokio::time::interval(ASK_EVERY);
        asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let farewell = loop {
            tokio::select! {
                () = &mut expired => break Some((code::UNAUTHENTICATED, "the token has expired".to_owned())),
                _ = asks.tick() => {
                    if let Err(farewell) = self.ask_again().await {
                        break Some(farewell);
                    }
                }
                told = seat.next() => match told {
                    Some(SeatMessage::Message(bytes)) => {
                        if let Err(farewell) = self.ask_again().await {
                            break Some(farewell);
                        }
                        if out.send(Message::Binary(bytes.into())).await.is_err() {
                            break None;
                        }
                    }
                    Some(SeatMessage::Out(ended)) => break Some(close(&ended)),
                    None => break Some((code::SLOW, SeatEnd::Slow.to_string())),
                },
                message = said.next() => match message {
                    Some(Ok(Message::Binary(bytes))) => {
                        if let Err(farewell) = self.say(&seat, bytes.into()).await {
                            break Some(farewell);
                        }
                    }
                    Some(Ok(Message::Text(_))) => break Some(close(&RefusedUpdate::Malformed.into())),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break None,
                },
            }
        };
        drop(seat);
        if let Some((code, reason)) = farewell {
            let _ = out.send(Message::Close(Some(CloseFrame { code, reason: shortened(&reason).into() }))).await;
            // What the client still sends is read and dropped: with it unread the connection would be reset, and the
            // reason never arrive.
            let rest = async { while let Some(Ok(_)) = said.next().await {} };
            let _ = tokio::time::timeout(FAREWELL, rest).await;
        }
        drop(out);
        writer.finish().await;
    }

    async fn say(&self, seat: &Seat, bytes: Vec<u8>) -> Result<(), (u16, String)> {
        let identity = self.ask_again().await?;
        self.door.count(&identity, &self.address).await.map_err(|refusal| (code::RATE_LIMITED, refusal.to_string()))?;
        seat.say(bytes, owned::contributes(&identity).is_ok()).await.map_err(|ended| close(&ended))
    }

    /// Who they are with what they may now, which is to read at least: the connection may be older than their role, and
    /// than their token's end.
    async fn ask_again(&self) -> Result<Identity, (u16, String)> {
        let identity = self.door.again(&self.identity).await.map_err(|away| {
            tracing::error!(error = &away as &dyn std::error::Error, "nobody can be recognised");
            close(&SeatEnd::ComeBack)
        })?;
        match owned::reader(&identity) {
            Ok(_) => Ok(identity),
            Err(undone @ Undone::Unauthenticated) => Err((code::UNAUTHENTICATED, undone.to_string())),
            Err(undone) => Err((code::FORBIDDEN, undone.to_string())),
        }
    }
}

fn close(ended: &SeatEnd) -> (u16, String) {
    let code = match ended {
        SeatEnd::Refused(RefusedUpdate::ReadOnly) => code::FORBIDDEN,
        SeatEnd::Refused(RefusedUpdate::Closed { .. }) => code::CLOSED,
        SeatEnd::Refused(
            RefusedUpdate::Malformed
            | RefusedUpdate::NoSection { .. }
            | RefusedUpdate::TooManySections
            | RefusedUpdate::NoContent { .. }
            | RefusedUpdate::NotText { .. }
            | RefusedUpdate::TooLarge { .. }
            | RefusedUpdate::TooManyBlocks { .. }
            | RefusedUpdate::Presence,
        ) => code::BAD,
        SeatEnd::Slow => code::SLOW,
        SeatEnd::ComeBack => code::COME_BACK,
    };
    (code, ended.to_string())
}

/// The reason of a close frame has 123 bytes at most (RFC 6455, section 5.5).
fn shortened(reason: &str) -> String {
    const MOST: usize = 123;
    let mut end = reason.len().min(MOST);
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
        let offered = Offered::of(&headers);
        let shown = offered.shown.unwrap();
        assert!(offered.speaks);
        assert_eq!((shown.authorization.as_deref(), shown.tenant.as_deref()), (Some("Bearer a.b-c_d"), Some("acme")));
        assert!(Offered::of(&HeaderMap::new()).shown.is_none());
    }

    #[test]
    fn a_reason_fits_its_frame() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"é".repeat(100)).len(), 122);
    }
}
