//! GraphQL over a WebSocket, in the protocol `graphql-transport-ws`.
//!
//! A client that only listens says nothing for hours, so the connection is kept up by pings of the WebSocket itself
//! (RFC 6455, section 5.5.2), which browsers answer without the page's help.

mod close_code;
mod connection;
pub(super) mod heartbeat;
mod message;
mod operations;
pub(super) mod socket_permits;
#[cfg(test)]
mod tests;

use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::{Map, Value};

use self::{connection::SocketConnection, socket_permits::SocketPermit};
use super::{
    HttpState, graphql_handler,
    request_gate::{AdmissionError, ClientAddress, RequestGate, RequestMeter},
};
use crate::{
    auth::{Credentials, Principal},
    graphql::GraphQl,
};

const GRAPHQL_WS_PROTOCOL: &str = "graphql-transport-ws";

/// Whether a request wants a WebSocket, and what it takes to open one.
type UpgradeResult = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// A WebSocket for those who ask for one; everybody else gets the answer to the document in the URL, or the page to try
/// GraphQL.
pub(super) async fn serve_graphql_get(
    State(edge): State<HttpState>,
    Extension(begun_as): Extension<Principal>,
    Extension(address): Extension<ClientAddress>,
    Extension(meter): Extension<RequestMeter>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: UpgradeResult,
) -> Response {
    let asked = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !asked.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return graphql_handler::execute_get(&edge, &begun_as, &meter, &uri, &headers).await;
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == GRAPHQL_WS_PROTOCOL) {
        return (StatusCode::BAD_REQUEST, format!("the WebSocket has to offer the protocol {GRAPHQL_WS_PROTOCOL}\n"))
            .into_response();
    }
    let (Some(graphql), Some(door)) = (edge.graphql.clone(), edge.gate.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let place = match edge.socket_permits.acquire(begun_as.rate_limit_subject.client_key(address.as_str())) {
        Ok(place) => place,
        Err(full) => return (StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")).into_response(),
    };
    let client = SocketClient { initial_principal: begun_as, gate: door, address, permit: place };
    upgrade
        .protocols([GRAPHQL_WS_PROTOCOL])
        .max_message_size(edge.max_message_bytes)
        .on_upgrade(async move |socket| serve_socket(socket, graphql, edge, client).await)
        .into_response()
}

/// Who opened a connection.
struct SocketClient {
    initial_principal: Principal,
    gate: RequestGate,
    address: ClientAddress,
    permit: SocketPermit,
}

impl SocketClient {
    /// Who it is by what is said: browsers cannot send headers with a WebSocket.
    async fn identify(&self, payload: &Map<String, Value>) -> Result<Principal, AdmissionError> {
        let said = |wanted: &str| Self::payload_text(payload, wanted).map(str::to_owned);
        let shown = Credentials { authorization: said("authorization"), tenant: said("x-medhub-tenant") };
        if shown.authorization.is_none() {
            return Ok(self.initial_principal.clone());
        }
        let identity = self.gate.identify(&shown, &self.address).await?;
        self.permit.transfer_to(identity.rate_limit_subject.client_key(self.address.as_str()))?;
        Ok(identity)
    }

    /// A text in a payload, under a name in whatever case.
    fn payload_text<'a>(payload: &'a Map<String, Value>, wanted: &str) -> Option<&'a str> {
        payload.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).and_then(|(_, value)| value.as_str())
    }
}

async fn serve_socket(socket: WebSocket, graphql: GraphQl, edge: HttpState, client: SocketClient) {
    let (sink, stream) = socket.split();
    let silence = heartbeat::silence_limit(edge.ping_every);
    let (out, writer) = heartbeat::spawn_writer(sink, edge.ping_every, heartbeat::MAX_PENDING_MESSAGES);
    let connection = SocketConnection::new(graphql, client, out, silence, edge.timeout);
    connection.serve(heartbeat::read_messages(stream, silence)).await;
    writer.finish().await;
}
