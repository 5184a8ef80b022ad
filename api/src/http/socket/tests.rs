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

use super::{PROTOCOL, close_code::CloseCode};
use crate::{
    http::tests::{hostile_documents, serve_with},
    serve::Role,
};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PING_EVERY_MS: u64 = 200;

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

    for _ in 0..5 {
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
    assert_eq!(u16::from(close.code), CloseCode::InitialisationTimeout as u16, "{close}");
}

#[tokio::test]
async fn one_client_never_holds_all_places_and_what_does_nothing_gives_way() {
    let server = serve_with(Role::Api, |http| (http.max_sockets, http.max_sockets_per_client) = (10, 2)).await;
    let (mut first, mut second) = (begun(&server).await, begun(&server).await);
    say(&mut first, json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    assert_eq!(text(&mut first).await["type"], "next");
    assert_eq!(text(&mut first).await["type"], "complete");

    let _third = begun(&server).await;

    let frame = hear(&mut second).await;
    let Some(Ok(Message::Close(Some(close)))) = frame else { panic!("{frame:?}") };
    assert_eq!(u16::from(close.code), CloseCode::TryAgainLater as u16, "{close}");
    say(&mut first, json!({ "id": "2", "type": "subscribe", "payload": { "query": "{ __typename }" } })).await;
    assert_eq!(text(&mut first).await["type"], "next", "what did something later stays");
}

#[tokio::test]
async fn no_more_connections_are_opened_than_configured() {
    let server = serve_with(Role::Api, |http| http.max_sockets = 0).await;
    let refused = connect(&server).await.unwrap_err();
    let tungstenite::Error::Http(answer) = refused else { panic!("{refused}") };
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

/// A document that is asked for under an id.
fn subscribe(id: &str, query: &str) -> Value {
    json!({ "id": id, "type": "subscribe", "payload": { "query": query } })
}

async fn closed(socket: &mut Socket) -> u16 {
    let frame = hear(socket).await;
    let Some(Ok(Message::Close(Some(close)))) = frame else { panic!("{frame:?}") };
    close.code.into()
}

#[tokio::test]
async fn a_connection_ends_with_the_code_of_the_protocol() {
    let server = server().await;
    let init = json!({ "type": "connection_init" });
    for (said, code) in [
        (vec![subscribe("1", "{ __typename }")], CloseCode::Unauthorized),
        (
            vec![json!({ "type": "connection_init", "payload": { "authorization": "Bearer forged" } })],
            CloseCode::Forbidden,
        ),
        (vec![json!({ "type": "hello" })], CloseCode::InvalidMessage),
        (vec![json!([init])], CloseCode::InvalidMessage),
    ] {
        let mut socket = connect(&server).await.unwrap();
        for message in said {
            say(&mut socket, message).await;
        }
        assert_eq!(closed(&mut socket).await, code as u16);
    }
    for (said, code) in [
        (init.clone(), CloseCode::TooManyInitialisations),
        (json!({ "type": "subscribe", "id": "", "payload": { "query": "{a}" } }), CloseCode::InvalidMessage),
        (json!({ "type": "subscribe", "id": "1", "payload": {} }), CloseCode::InvalidMessage),
        (json!({ "type": "subscribe", "id": "1" }), CloseCode::InvalidMessage),
        (
            json!({ "type": "ping", "payload": { "a": 1, "b": [[[[[[]]]]]], "c": "x".repeat(200_000) } }),
            CloseCode::InvalidMessage,
        ),
    ] {
        let mut socket = begun(&server).await;
        let is_ping = said["type"] == "ping";
        say(&mut socket, said).await;
        if is_ping {
            assert_eq!(text(&mut socket).await, json!({ "type": "pong" }));
        } else {
            assert_eq!(closed(&mut socket).await, code as u16);
        }
    }
}

#[tokio::test]
async fn an_id_stands_for_one_document_at_a_time() {
    let server = server().await;
    let mut socket = begun(&server).await;
    for _ in 0..2 {
        say(&mut socket, subscribe("1", "{ __typename }")).await;
        assert_eq!(text(&mut socket).await["payload"]["data"]["__typename"], "Query");
        assert_eq!(text(&mut socket).await, json!({ "id": "1", "type": "complete" }), "it is free again");
    }
    say(&mut socket, subscribe("2", "{ nothing }")).await;
    let refused = text(&mut socket).await;
    assert_eq!(
        (&refused["type"], refused["payload"].is_array()),
        (&json!("error"), true),
        "nothing follows: {refused}"
    );
    // Both are there before the first can be answered.
    socket.feed(Message::text(subscribe("2", "{ opportunity(id: \"097:X\") { id } }").to_string())).await.unwrap();
    say(&mut socket, subscribe("2", "{ __typename }")).await;
    assert_eq!(closed(&mut socket).await, CloseCode::SubscriberAlreadyExists as u16);
}

#[tokio::test]
async fn documents_that_would_stop_a_process_are_refused_here_too() {
    let server = server().await;
    let mut socket = begun(&server).await;
    for (number, document) in hostile_documents().into_iter().enumerate() {
        say(&mut socket, subscribe(&number.to_string(), &document)).await;
        let answer = text(&mut socket).await;
        let shown = &document[..60.min(document.len())];
        assert_eq!(answer["payload"][0]["extensions"]["code"], "INVALID_QUERY", "{shown}: {answer}");
    }
    socket.send(Message::text(format!(r#"{{"type":{}"#, "[".repeat(100_000)))).await.unwrap();
    assert_eq!(closed(&mut socket).await, CloseCode::InvalidMessage as u16);
}
