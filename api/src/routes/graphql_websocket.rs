//! GraphQL over a WebSocket, in the protocol `graphql-transport-ws`.
//!
//! A client that only subscribes may send nothing for hours, so the connection is kept alive by pings of the WebSocket
//! protocol (RFC 6455, section 5.5.2), which browsers answer without the page's help.

mod close_code;
mod connection;
pub(super) mod heartbeat;
mod message;
mod operations;
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

use self::connection::SocketConnection;
use super::{HttpState, graphql_handler};
use crate::{
    auth::{Credentials, Principal},
    graphql::GraphQl,
    http::{
        client_address::ClientAddress,
        connection::ServerStop,
        request_gate::{AdmissionError, RequestGate, RequestMeter},
        socket_permits::SocketPermit,
    },
};

const GRAPHQL_WS_PROTOCOL: &str = "graphql-transport-ws";

/// The upgrade, and the stop of the server that the connection belongs to.
type UpgradeRequest = (Result<WebSocketUpgrade, WebSocketUpgradeRejection>, Extension<ServerStop>);

/// Opens a WebSocket for upgrade requests; otherwise answers the document in the URL, or serves the playground.
pub(super) async fn serve_graphql_get(
    State(state): State<HttpState>,
    Extension(principal): Extension<Principal>,
    Extension(address): Extension<ClientAddress>,
    Extension(meter): Extension<RequestMeter>,
    uri: Uri,
    (upgrade, Extension(stop)): UpgradeRequest,
    headers: HeaderMap,
) -> Response {
    let requested = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !requested.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return graphql_handler::execute_get(&state, &principal, &meter, &uri, &headers).await;
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == GRAPHQL_WS_PROTOCOL) {
        return (StatusCode::BAD_REQUEST, format!("the WebSocket must offer the protocol {GRAPHQL_WS_PROTOCOL}\n"))
            .into_response();
    }
    let (Some(graphql), Some(gate)) = (state.graphql.clone(), state.gate.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let permit = match state.socket_permits.acquire(principal.rate_limit_subject.client_key(address.as_str())) {
        Ok(permit) => permit,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    };
    let client = SocketClient { initial_principal: principal, gate, address, permit };
    upgrade
        .protocols([GRAPHQL_WS_PROTOCOL])
        .max_message_size(state.max_message_bytes)
        .on_upgrade(async move |socket| serve_socket(socket, graphql, state, client, stop).await)
        .into_response()
}

/// The client of a connection.
struct SocketClient {
    initial_principal: Principal,
    gate: RequestGate,
    address: ClientAddress,
    permit: SocketPermit,
}

impl SocketClient {
    /// Authenticates by the payload of a message: browsers cannot send headers with a WebSocket.
    async fn identify(&self, payload: &Map<String, Value>) -> Result<Principal, AdmissionError> {
        let text = |name: &str| Self::payload_text(payload, name).map(str::to_owned);
        let credentials = Credentials { authorization: text("authorization"), tenant: text("x-medhub-tenant") };
        if credentials.authorization.is_none() {
            return Ok(self.initial_principal.clone());
        }
        let principal = self.gate.identify(&credentials, &self.address).await?;
        self.permit.transfer_to(principal.rate_limit_subject.client_key(self.address.as_str()))?;
        Ok(principal)
    }

    /// Returns a text of a payload by its name, ignoring case.
    fn payload_text<'a>(payload: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
        payload.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    }
}

async fn serve_socket(socket: WebSocket, graphql: GraphQl, state: HttpState, client: SocketClient, stop: ServerStop) {
    let (sink, stream) = socket.split();
    let silence = heartbeat::silence_limit(state.ping_every);
    let (outgoing, writer) = heartbeat::spawn_writer(sink, state.ping_every, heartbeat::MAX_PENDING_MESSAGES);
    let connection = SocketConnection::new(graphql, client, outgoing, stop, silence, state.timeout);
    connection.serve(heartbeat::read_messages(stream, silence)).await;
    writer.finish().await;
}
