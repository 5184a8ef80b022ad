//! GraphQL over a WebSocket, in the protocol `graphql-transport-ws`.
//!
//! A client that only listens says nothing for hours, so the connection is kept up by pings of the WebSocket itself
//! (RFC 6455, section 5.5.2), which browsers answer without the page's help.

mod alive;
#[cfg(test)]
mod tests;

use async_graphql_axum::{GraphQLProtocol, GraphQLWebSocket};
use axum::{
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{SinkExt, StreamExt};
use tokio::{sync::oneshot, time::timeout};

use super::{Edge, playground, standing};
use crate::graphql::{GraphQl, Session, Standing};

const PROTOCOL: &str = "graphql-transport-ws";

/// The protocol's code for a client that never says `connection_init`.
const INITIALISATION_TIMEOUT: u16 = 4408;

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
    let (sink, stream) = socket.split();
    let silence = alive::silence(edge.ping_every);
    let (mut out, writer) = alive::write(sink, edge.ping_every);
    let admin = edge.admin;
    let (tell, begun) = oneshot::channel();
    let served = GraphQLWebSocket::new_with_pair(out.clone(), alive::read(stream, silence), graphql, protocol)
        .on_connection_init(async move |payload: serde_json::Value| {
            // Nobody waits for it once the deadline is over, and then the connection ends anyway.
            let _ = tell.send(());
            let standing = match begun_as {
                Standing::Operator => Standing::Operator,
                Standing::Visitor => standing::of_payload(&payload, &admin),
            };
            Ok(Session::data(standing))
        })
        .serve();
    let never_begun = async {
        if !matches!(timeout(silence, begun).await, Ok(Ok(()))) {
            let reason = "Connection initialisation timeout".into();
            let _ = out.send(Message::Close(Some(CloseFrame { code: INITIALISATION_TIMEOUT, reason }))).await;
            return;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = served => {}
        () = never_begun => {}
    }
    drop(out);
    writer.finish().await;
}
