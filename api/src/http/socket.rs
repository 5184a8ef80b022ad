//! GraphQL over a WebSocket, in the protocol `graphql-transport-ws`.
//!
//! A client that only listens says nothing for hours, so the connection is kept up by pings of the WebSocket itself
//! (RFC 6455, section 5.5.2), which browsers answer without the page's help.

pub(super) mod alive;
mod close_code;
mod connection;
mod message;
mod operations;
pub(super) mod places;
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

use self::{connection::Connection, places::SocketPlace};
use super::{
    Edge,
    door::{Address, Door, Meter, Refusal},
    execute,
};
use crate::{
    graphql::GraphQl,
    identity::{Credentials, Identity},
};

const PROTOCOL: &str = "graphql-transport-ws";

/// Whether a request wants a WebSocket, and what it takes to open one.
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// A WebSocket for those who ask for one; everybody else gets the answer to the document in the URL, or the page to try
/// GraphQL.
pub(super) async fn or_document_in_url(
    State(edge): State<Edge>,
    Extension(begun_as): Extension<Identity>,
    Extension(address): Extension<Address>,
    Extension(meter): Extension<Meter>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let asked = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
    if !asked.is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket")) {
        return execute::document_in_url(&edge, &begun_as, &meter, &uri, &headers).await;
    }
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !offered.split(',').any(|protocol| protocol.trim() == PROTOCOL) {
        return (StatusCode::BAD_REQUEST, format!("the WebSocket has to offer the protocol {PROTOCOL}\n"))
            .into_response();
    }
    let (Some(graphql), Some(door)) = (edge.graphql.clone(), edge.door.clone()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let place = match edge.sockets.take(begun_as.counted.client(address.as_str())) {
        Ok(place) => place,
        Err(full) => return (StatusCode::SERVICE_UNAVAILABLE, format!("{full}\n")).into_response(),
    };
    let client = Client { begun_as, door, address, place };
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(edge.max_message_bytes)
        .on_upgrade(async move |socket| serve(socket, graphql, edge, client).await)
        .into_response()
}

/// Who opened a connection.
struct Client {
    begun_as: Identity,
    door: Door,
    address: Address,
    place: SocketPlace,
}

impl Client {
    /// Who it is by what is said: browsers cannot send headers with a WebSocket.
    async fn identify(&self, payload: &Map<String, Value>) -> Result<Identity, Refusal> {
        let said = |wanted: &str| Self::said(payload, wanted).map(str::to_owned);
        let shown = Credentials { authorization: said("authorization"), tenant: said("x-medhub-tenant") };
        if shown.authorization.is_none() {
            return Ok(self.begun_as.clone());
        }
        let identity = self.door.identify(&shown, &self.address).await?;
        self.place.pass_to(identity.counted.client(self.address.as_str()))?;
        Ok(identity)
    }

    /// A text in a payload, under a name in whatever case.
    fn said<'a>(payload: &'a Map<String, Value>, wanted: &str) -> Option<&'a str> {
        payload.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).and_then(|(_, value)| value.as_str())
    }
}

async fn serve(socket: WebSocket, graphql: GraphQl, edge: Edge, client: Client) {
    let (sink, stream) = socket.split();
    let silence = alive::silence(edge.ping_every);
    let (out, writer) = alive::write(sink, edge.ping_every, alive::UNDER_WAY);
    let connection = Connection::new(graphql, client, out, silence, edge.timeout);
    connection.serve(alive::read(stream, silence)).await;
    writer.finish().await;
}
