//! GraphQL over a WebSocket, in the protocol `graphql-transport-ws`.

use std::time::Duration;

use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{Edge, playground, standing};
use crate::graphql::{GraphQl, Session, Standing};

const PROTOCOL: &str = "graphql-transport-ws";

/// A connection that does not answer a ping in this time is closed.
const PING_PATIENCE: Duration = Duration::from_secs(30);

/// Whether a request wants a WebSocket, and what it takes to open one.
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// A WebSocket for those who ask for one, the page to try GraphQL for everybody else.
pub(super) async fn or_playground(
    State(edge): State<Edge>,
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
    let Some(graphql) = edge.graphql.clone() else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(place) = std::sync::Arc::clone(&edge.sockets).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many WebSockets are open, try again later\n").into_response();
    };
    let begun_as = standing::of_headers(&headers, &edge.admin);
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(edge.max_message_bytes)
        .on_upgrade(async move |socket| {
            serve(socket, protocol, graphql, edge, begun_as).await;
            drop(place);
        })
        .into_response()
}

async fn serve(socket: WebSocket, protocol: GraphQLProtocol, graphql: GraphQl, edge: Edge, begun_as: Standing) {
    let admin = edge.admin;
    GraphQLWebSocket::new(socket, graphql, protocol)
        .keepalive_timeout(PING_PATIENCE)
        .on_connection_init(async move |payload: serde_json::Value| {
            let standing = match begun_as {
                Standing::Operator => Standing::Operator,
                Standing::Visitor => standing::of_payload(&payload, &admin),
            };
            Ok(Session::data(standing))
        })
        .serve()
        .await;
}
