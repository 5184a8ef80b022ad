//! GraphQL over a WebSocket, in the protocol `graphql-transport-ws`.
//!
//! A client that only listens says nothing for hours, so the connection is kept up by pings of the WebSocket itself
//! (RFC 6455, section 5.5.2), which browsers answer without the page's help.

pub(super) mod alive;
#[cfg(test)]
mod tests;

use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::clock::{Clock, SystemClock};
use futures::{SinkExt, StreamExt};
use tokio::{sync::oneshot, time::timeout};

use super::{
    Edge,
    door::{Address, Door},
    playground,
};
use crate::{
    graphql::{GraphQl, Session},
    identity::{Credentials, Identity},
};

const PROTOCOL: &str = "graphql-transport-ws";

/// The protocol's code for a client that never says `connection_init`.
const INITIALISATION_TIMEOUT: u16 = 4408;

/// The protocol's code for a client that may no longer do what it does.
const UNAUTHORIZED: u16 = 4401;

/// Whether a request wants a WebSocket, and what it takes to open one.
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// A WebSocket for those who ask for one, the page to try GraphQL for everybody else.
pub(super) async fn or_playground(
    State(edge): State<Edge>,
    Extension(begun_as): Extension<Identity>,
    Extension(address): Extension<Address>,
    headers: HeaderMap,
    protocol: Result<GraphQLProtocol, StatusCode>,
    upgrade: Upgrade,
) -> Response {
    let asked = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !asked.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return playground::page(&edge);
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let speaks = offered.split(',').any(|protocol| protocol.trim() == PROTOCOL);
    let (Ok(protocol), true) = (protocol, speaks) else {
        return (StatusCode::BAD_REQUEST, format!("the WebSocket has to offer the protocol {PROTOCOL}\n"))
            .into_response();
    };
    let (Some(graphql), Some(door)) = (edge.graphql.clone(), edge.door.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(place) = std::sync::Arc::clone(&edge.sockets).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many WebSockets are open, try again later\n").into_response();
    };
    let client = Client { begun_as, door, address };
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(edge.max_message_bytes)
        .on_upgrade(async move |socket| {
            serve(socket, protocol, graphql, edge, client).await;
            drop(place);
        })
        .into_response()
}

/// Who opened a connection.
struct Client {
    begun_as: Identity,
    door: Door,
    address: Address,
}

impl Client {
    /// Who it is by what is said at the beginning: browsers cannot send headers with a WebSocket.
    async fn identify(&self, payload: &serde_json::Value) -> Result<Identity, async_graphql::Error> {
        let said = |wanted: &str| {
            let mut said = payload.as_object().into_iter().flatten();
            said.find_map(|(name, value)| {
                value.as_str().filter(|_| name.eq_ignore_ascii_case(wanted)).map(str::to_owned)
            })
        };
        let shown = Credentials { authorization: said("authorization"), tenant: said("x-medhub-tenant") };
        if shown.authorization.is_none() {
            return Ok(self.begun_as.clone());
        }
        self.door.identify(&shown, &self.address).await.map_err(|refusal| refusal.to_string().into())
    }
}

async fn serve(socket: WebSocket, protocol: GraphQLProtocol, graphql: GraphQl, edge: Edge, client: Client) {
    let (sink, stream) = socket.split();
    let silence = alive::silence(edge.ping_every);
    let (mut out, writer) = alive::write(sink, edge.ping_every);
    let (tell, begun) = oneshot::channel();
    let served = GraphQLWebSocket::new_with_pair(out.clone(), alive::read(stream, silence), graphql, protocol)
        .on_connection_init(async move |payload: serde_json::Value| {
            let identity = client.identify(&payload).await?;
            // Nobody waits for it once the deadline is over, and then the connection ends anyway.
            let _ = tell.send(identity.expires_at);
            Ok(Session::data(identity, client.door, client.address))
        })
        .serve();
    let ended = async {
        let (code, reason) = match timeout(silence, begun).await {
            // What has no end; and a beginning that was refused, which the protocol tells by itself.
            Ok(Ok(None) | Err(_)) => std::future::pending().await,
            Ok(Ok(Some(end))) => {
                tokio::time::sleep((end - SystemClock.now()).to_std().unwrap_or_default()).await;
                (UNAUTHORIZED, "the token has expired")
            }
            Err(_elapsed) => (INITIALISATION_TIMEOUT, "Connection initialisation timeout"),
        };
        let _ = out.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
    };
    tokio::select! {
        () = served => {}
        () = ended => {}
    }
    drop(out);
    writer.finish().await;
}
