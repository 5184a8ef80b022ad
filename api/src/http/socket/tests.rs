//! Connections that are quiet, deaf, never begun or too many.

use std::time::Duration;

use axum::http::StatusCode;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{INITIALISATION_TIMEOUT, PROTOCOL};
use crate::{http::tests::serve_with, serve::Role};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PING_EVERY_MS: u64 = 50;

/// Far longer than anything here takes, so that a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_mins(1);

async fn server() -> String {
    serve_with(Role::Api, |http| http.ping_every_ms = PING_EVERY_MS).await
}

async fn connect(server: &str) -> Result<Socket, tungstenite::Error> {
    let mut request = format!("{}/graphql", server.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn say(socket: &mut Socket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next frame that is no ping.
async fn hear(socket: &mut Socket) -> Option<Result<Message, tungstenite::Error>> {
    timeout(PATIENCE, async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Ping(_))) => {}
                other => return other,
            }
        }
    })
    .await
    .unwrap()
}

async fn text(socket: &mut Socket) -> Value {
    let frame = hear(socket).await;
    let Some(Ok(Message::Text(text))) = frame else { panic!("{frame:?}") };
    serde_json::from_str(&text).unwrap()
}

async fn begun(server: &str) -> Socket {
    let mut socket = connect(server).await.unwrap();
    say(&mut socket, json!({ "type": "connection_init" })).await;
    assert_eq!(text(&mut socket).await["type"], "connection_ack");
    socket
}

#[tokio::test]
async fn who_only_listens_stays_connected() {
    let server = server().await;
    let mut socket = begun(&server).await;

    for _ in 0..20 {
        let frame = timeout(PATIENCE, socket.next()).await.unwrap();
        assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{frame:?}");
    }

    say(&mut socket, json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    let answer = text(&mut socket).await;
    assert_eq!(answer["payload"]["data"], json!({ "__typename": "Query" }), "{answer}");
}

#[tokio::test]
async fn who_answers_no_ping_is_taken_for_gone() {
    let server = server().await;
    let mut socket = begun(&server).await;

    // Below the WebSocket, where nothing answers pings.
    let mut bytes = vec![];
    let end = timeout(PATIENCE, socket.get_mut().read_to_end(&mut bytes)).await.unwrap();

    // The server ends it in order, or has nobody to say goodbye to.
    assert!(end.is_ok() || !bytes.is_empty(), "{end:?}");
}

#[tokio::test]
async fn who_never_begins_is_told_so() {
    let server = server().await;
    let mut socket = connect(&server).await.unwrap();

    let frame = hear(&mut socket).await;

    let Some(Ok(Message::Close(Some(close)))) = frame else { panic!("{frame:?}") };
    assert_eq!(u16::from(close.code), INITIALISATION_TIMEOUT, "{close}");
}

#[tokio::test]
async fn no_more_connections_are_opened_than_configured() {
    let server = serve_with(Role::Api, |http| http.max_sockets = 1).await;
    let first = connect(&server).await.unwrap();

    let refused = connect(&server).await.unwrap_err();
    let tungstenite::Error::Http(answer) = refused else { panic!("{refused}") };
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);

    drop(first);
    // The place is free again once the server has noticed.
    timeout(PATIENCE, async { while connect(&server).await.is_err() {} }).await.unwrap();
}
