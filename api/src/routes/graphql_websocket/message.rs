//! Messages of `graphql-transport-ws`.

use async_graphql::{Response, ServerError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::routes::graphql_request::RequestParameters;

/// A message from the client.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
    /// Initialises the connection, optionally with credentials.
    ConnectionInit { payload: Option<Map<String, Value>> },
    /// Runs a document under an id chosen by the client.
    Subscribe { id: String, payload: RequestParameters },
    /// Ends a document.
    Complete { id: String },
    /// Requests a pong, optionally with a fresh token.
    Ping { payload: Option<Map<String, Value>> },
    /// Answers a ping.
    Pong {},
}

/// A message to the client.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    /// The connection is initialised.
    ConnectionAck,
    /// A result; more may follow.
    Next { id: &'a str, payload: &'a Response },
    /// The document was not executed; nothing follows.
    Error { id: &'a str, payload: &'a [ServerError] },
    /// The document has ended; nothing follows.
    Complete { id: &'a str },
    /// Answers a ping.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
}
