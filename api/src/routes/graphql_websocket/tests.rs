//! Tests of connections that are silent, unresponsive, not initialised or too many.

use std::{collections::BTreeSet, time::Duration};

use axum::http::StatusCode;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};
use tokio_util::sync::CancellationToken;

use super::{GRAPHQL_WS_PROTOCOL, close_code::CloseCode};
use crate::routes::tests::{ServedRoutes, hostile_documents, start_server_until, start_server_with};

type TestSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PING_EVERY_MS: u64 = 200;

/// Far longer than a passing test takes.
const TEST_TIMEOUT: Duration = Duration::from_mins(1);

async fn start_socket_server() -> String {
    start_server_with(ServedRoutes::Api, |http| http.ping_every_ms = PING_EVERY_MS).await
}

async fn connect_socket(server: &str) -> Result<TestSocket, tungstenite::Error> {
    let mut request = format!("{}/graphql", server.replacen("http", "ws", 1)).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(GRAPHQL_WS_PROTOCOL));
    connect_async(request).await.map(|(socket, _)| socket)
}

async fn send_json(socket: &mut TestSocket, message: Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// Returns the next frame that is not a ping.
async fn next_frame(socket: &mut TestSocket) -> Option<Result<Message, tungstenite::Error>> {
    timeout(TEST_TIMEOUT, async {
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

async fn next_json(socket: &mut TestSocket) -> Value {
    let frame = next_frame(socket).await;
    let Some(Ok(Message::Text(text))) = frame else { panic!("{frame:?}") };
    serde_json::from_str(&text).unwrap()
}

async fn connect_and_initialise(server: &str) -> TestSocket {
    let mut socket = connect_socket(server).await.unwrap();
    send_json(&mut socket, json!({ "type": "connection_init" })).await;
    assert_eq!(next_json(&mut socket).await["type"], "connection_ack");
    socket
}

#[tokio::test]
async fn a_client_that_only_listens_stays_connected() {
    let server = start_socket_server().await;
    let mut socket = connect_and_initialise(&server).await;

    for _ in 0..5 {
        let frame = timeout(TEST_TIMEOUT, socket.next()).await.unwrap();
        assert!(matches!(frame, Some(Ok(Message::Ping(_)))), "{frame:?}");
    }

    send_json(&mut socket, json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    let message = next_json(&mut socket).await;
    assert_eq!(message["payload"]["data"], json!({ "__typename": "Query" }), "{message}");
}

#[tokio::test]
async fn a_client_that_answers_no_ping_is_disconnected() {
    let server = start_socket_server().await;
    let mut socket = connect_and_initialise(&server).await;

    // Reads below the WebSocket layer, where nothing answers pings.
    let mut bytes = vec![];
    let outcome = timeout(TEST_TIMEOUT, socket.get_mut().read_to_end(&mut bytes)).await.unwrap();

    // The server closes the connection properly, or cannot deliver its close frame.
    assert!(outcome.is_ok() || !bytes.is_empty(), "{outcome:?}");
}

#[tokio::test]
async fn a_connection_that_is_not_initialised_is_closed_with_4408() {
    let server = start_socket_server().await;
    let mut socket = connect_socket(&server).await.unwrap();

    let frame = next_frame(&mut socket).await;

    let Some(Ok(Message::Close(Some(close)))) = frame else { panic!("{frame:?}") };
    assert_eq!(u16::from(close.code), CloseCode::InitialisationTimeout as u16, "{close}");
}

#[tokio::test]
async fn connections_per_client_are_limited_and_the_idle_one_is_closed() {
    let server =
        start_server_with(ServedRoutes::Api, |http| (http.max_sockets, http.max_sockets_per_client) = (10, 2)).await;
    let (mut first, mut second) = (connect_and_initialise(&server).await, connect_and_initialise(&server).await);
    send_json(&mut first, json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    assert_eq!(next_json(&mut first).await["type"], "next");
    assert_eq!(next_json(&mut first).await["type"], "complete");

    let _third = connect_and_initialise(&server).await;

    let frame = next_frame(&mut second).await;
    let Some(Ok(Message::Close(Some(close)))) = frame else { panic!("{frame:?}") };
    assert_eq!(u16::from(close.code), CloseCode::TryAgainLater as u16, "{close}");
    send_json(&mut first, json!({ "id": "2", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    assert_eq!(next_json(&mut first).await["type"], "next", "the connection that was used last stays open");
}

#[tokio::test]
async fn no_more_connections_are_opened_than_configured() {
    let server = start_server_with(ServedRoutes::Api, |http| http.max_sockets = 0).await;
    let refused = connect_socket(&server).await.unwrap_err();
    let tungstenite::Error::Http(response) = refused else { panic!("{refused}") };
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

fn subscribe_message(id: &str, query: &str) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query } })
}

async fn next_close_code(socket: &mut TestSocket) -> u16 {
    let frame = next_frame(socket).await;
    let Some(Ok(Message::Close(Some(close)))) = frame else { panic!("{frame:?}") };
    close.code.into()
}

#[tokio::test]
async fn a_connection_ends_with_the_code_of_the_protocol() {
    let server = start_socket_server().await;
    let init = json!({ "type": "connection_init" });
    for (messages, code) in [
        (vec![subscribe_message("1", "{ __typename }")], CloseCode::Unauthorized),
        (
            vec![json!({ "type": "connection_init", "payload": { "authorization": "Bearer forged" } })],
            CloseCode::Forbidden,
        ),
        (vec![json!({ "type": "hello" })], CloseCode::InvalidMessage),
        (vec![json!([init])], CloseCode::InvalidMessage),
    ] {
        let mut socket = connect_socket(&server).await.unwrap();
        for message in messages {
            send_json(&mut socket, message).await;
        }
        assert_eq!(next_close_code(&mut socket).await, code as u16);
    }
    for (message, code) in [
        (init.clone(), CloseCode::TooManyInitialisations),
        (json!({ "type": "subscribe", "id": "", "payload": { "query": "{a}" } }), CloseCode::InvalidMessage),
        (json!({ "type": "subscribe", "id": "1", "payload": {} }), CloseCode::InvalidMessage),
        (json!({ "type": "subscribe", "id": "1" }), CloseCode::InvalidMessage),
        (
            json!({ "type": "ping", "payload": { "a": 1, "b": [[[[[[]]]]]], "c": "x".repeat(200_000) } }),
            CloseCode::InvalidMessage,
        ),
    ] {
        let mut socket = connect_and_initialise(&server).await;
        let is_ping = message["type"] == "ping";
        send_json(&mut socket, message).await;
        if is_ping {
            assert_eq!(next_json(&mut socket).await, json!({ "type": "pong" }));
        } else {
            assert_eq!(next_close_code(&mut socket).await, code as u16);
        }
    }
}

#[tokio::test]
async fn an_id_is_used_by_one_document_at_a_time() {
    let server = start_socket_server().await;
    let mut socket = connect_and_initialise(&server).await;
    for _ in 0..2 {
        send_json(&mut socket, subscribe_message("1", "{ __typename }")).await;
        assert_eq!(next_json(&mut socket).await["payload"]["data"]["__typename"], "Query");
        assert_eq!(next_json(&mut socket).await, json!({ "id": "1", "type": "complete" }), "the id can be used again");
    }
    send_json(&mut socket, subscribe_message("2", "{ nothing }")).await;
    let refused = next_json(&mut socket).await;
    assert_eq!(
        (&refused["type"], refused["payload"].is_array()),
        (&json!("error"), true),
        "nothing follows: {refused}"
    );
    // Both messages are sent before the first can be answered.
    socket
        .feed(Message::text(subscribe_message("2", "{ opportunity(id: \"097:X\") { id } }").to_string()))
        .await
        .unwrap();
    send_json(&mut socket, subscribe_message("2", "{ __typename }")).await;
    assert_eq!(next_close_code(&mut socket).await, CloseCode::SubscriberAlreadyExists as u16);
}

#[tokio::test]
async fn hostile_documents_are_refused_over_a_websocket() {
    let server = start_socket_server().await;
    let mut socket = connect_and_initialise(&server).await;
    for (number, document) in hostile_documents().into_iter().enumerate() {
        send_json(&mut socket, subscribe_message(&number.to_string(), &document)).await;
        let message = next_json(&mut socket).await;
        let prefix = &document[..60.min(document.len())];
        assert_eq!(message["payload"][0]["extensions"]["code"], "INVALID_QUERY", "{prefix}: {message}");
    }
    socket.send(Message::text(format!(r#"{{"type":{}"#, "[".repeat(100_000)))).await.unwrap();
    assert_eq!(next_close_code(&mut socket).await, CloseCode::InvalidMessage as u16);
}

/// Reads the ids of documents that are answered, and of those that are complete, until the connection is closed.
async fn read_until_closed(socket: &mut TestSocket) -> (BTreeSet<String>, BTreeSet<String>, u16) {
    let (mut answered, mut complete) = (BTreeSet::new(), BTreeSet::new());
    loop {
        match next_frame(socket).await {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                let ids = if message["type"] == "next" { &mut answered } else { &mut complete };
                ids.insert(message["id"].to_string());
            }
            Some(Ok(Message::Close(Some(close)))) => return (answered, complete, close.code.into()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_process_that_stops_completes_what_it_answers_and_closes_the_connection() {
    // Whether a document is complete must not be decided by chance.
    for _ in 0..16 {
        let stop = CancellationToken::new();
        let server = start_server_until(&stop, ServedRoutes::Api, |_| {}).await;
        let mut used = connect_and_initialise(&server).await;
        let mut silent = connect_socket(&server).await.unwrap();
        for number in 0..32 {
            let message = subscribe_message(&number.to_string(), "{ __typename }");
            used.feed(Message::text(message.to_string())).await.unwrap();
        }
        used.flush().await.unwrap();
        let first = next_json(&mut used).await;

        stop.cancel();
        let (mut answered, complete, code) = read_until_closed(&mut used).await;
        answered.insert(first["id"].to_string());
        assert_eq!((answered, code), (complete, CloseCode::TryAgainLater as u16));
        assert_eq!(next_close_code(&mut silent).await, CloseCode::TryAgainLater as u16);
    }
}
