//! Messages of `graphql-transport-ws`.

use async_graphql::{Response, ServerError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::http::graphql_request::RequestParameters;

/// What a client says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientMessage {
    /// Begins the connection, and perhaps shows who it is.
    ConnectionInit { payload: Option<Map<String, Value>> },
    /// Asks for a document under an id of the client's.
    Subscribe { id: String, payload: RequestParameters },
    /// Wants no more of it.
    Complete { id: String },
    /// Asks whether somebody is there, and perhaps shows a fresh token.
    Ping { payload: Option<Map<String, Value>> },
    /// Answers a ping.
    Pong {},
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    /// The connection has begun.
    ConnectionAck,
    /// An answer; more may follow.
    Next { id: &'a str, payload: &'a Response },
    /// The document is not run; nothing follows.
    Error { id: &'a str, payload: &'a [ServerError] },
    /// Nothing follows.
    Complete { id: &'a str },
    /// Answers a ping.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Value>,
    },
}
