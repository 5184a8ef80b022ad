//! A subscriber over a WebSocket that speaks `graphql-transport-ws`.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::WAIT_TIMEOUT;

/// One subscription on a connection of its own.
#[derive(Debug)]
pub struct GraphqlSubscriber {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl GraphqlSubscriber {
    /// Connects to the product at `http`, sends `payload` with `connection_init`, and subscribes.
    ///
    /// # Errors
    /// If the connection fails, or the product refuses it; the error holds its response.
    pub async fn subscribe(http: &str, payload: Value, document: &str) -> anyhow::Result<Self> {
        let mut request = format!("{}/graphql", http.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
        let (socket, response) = connect_async(request).await?;
        let protocol = response.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
        anyhow::ensure!(protocol == Some("graphql-transport-ws"), "the protocol is {protocol:?}");
        let mut subscription = Self { socket };
        subscription.send_message(json!({ "type": "connection_init", "payload": payload })).await?;
        let acknowledgement = subscription.receive_message().await?;
        anyhow::ensure!(acknowledgement["type"] == "connection_ack", "{acknowledgement}");
        subscription.send_message(json!({ "id": "1", "type": "subscribe", "payload": { "query": document } })).await?;
        Ok(subscription)
    }

    /// The next answer, with `data`, `errors` or both; `None` at the end of the subscription.
    ///
    /// # Errors
    /// If the connection breaks off, or no message arrives within [`WAIT_TIMEOUT`].
    pub async fn next_answer(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            let message = self.receive_message().await?;
            match message["type"].as_str() {
                Some("next") => return Ok(Some(message["payload"].clone())),
                Some("error") => return Ok(Some(json!({ "errors": message["payload"] }))),
                Some("complete") => return Ok(None),
                Some("ping") => self.send_message(json!({ "type": "pong" })).await?,
                _ => anyhow::bail!("{message}"),
            }
        }
    }

    /// Drops answers until the connection ends. Returns the code by which the product closed it; `None` if it broke.
    pub async fn wait_until_closed(&mut self) -> Option<u16> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Close(frame) = message {
                return frame.map(|frame| frame.code.into());
            }
        }
        None
    }

    /// Sends another document on the same connection and returns its first answer; `id` must be unused so far.
    ///
    /// # Errors
    /// If the connection breaks off, or no message arrives within [`WAIT_TIMEOUT`].
    pub async fn send_document(&mut self, id: &str, document: &str) -> anyhow::Result<Value> {
        self.send_message(json!({ "id": id, "type": "subscribe", "payload": { "query": document } })).await?;
        loop {
            let message = self.receive_message().await?;
            match message["type"].as_str() {
                Some("next") if message["id"] == id => return Ok(message["payload"].clone()),
                Some("error") if message["id"] == id => return Ok(json!({ "errors": message["payload"] })),
                Some("ping") => self.send_message(json!({ "type": "pong" })).await?,
                // Answers to earlier documents are skipped.
                _ => anyhow::ensure!(message["id"] != id, "{message}"),
            }
        }
    }

    /// Sends a new token on the open connection, and returns the product's answer.
    ///
    /// # Errors
    /// If the connection breaks off, or no message arrives within [`WAIT_TIMEOUT`].
    pub async fn renew_token(&mut self, token: &str) -> anyhow::Result<Value> {
        let payload = json!({ "authorization": format!("Bearer {token}") });
        self.send_message(json!({ "type": "ping", "payload": payload })).await?;
        loop {
            let message = self.receive_message().await?;
            if message["type"] == "pong" {
                return Ok(message["payload"].clone());
            }
        }
    }

    async fn send_message(&mut self, message: Value) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(message.to_string())).await?)
    }

    async fn receive_message(&mut self) -> anyhow::Result<Value> {
        // Pings only keep the connection alive.
        let message = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text)?),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    other => anyhow::bail!("the connection ended: {other:?}"),
                }
            }
        };
        timeout(WAIT_TIMEOUT, message).await?
    }
}
