//! Tests of a server that stops, over TCP: no request is lost that a client may have sent.

use std::net;

use hyper::client::conn::http2;
use tokio::{io::AsyncWriteExt, time::timeout};

use super::{
    tests::{LARGE_PAGE, REQUEST, TEST_TIMEOUT, read_response, read_until_closed, start_test_server},
    *,
};

/// Connections of each kind: whether one is served by chance does not decide.
const CONNECTIONS: usize = 8;

fn assert_last(response: &str) {
    assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("page"), "{response}");
    assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
}

#[tokio::test]
async fn a_stop_waits_only_for_requests_in_progress() {
    let server =
        start_test_server(|config| (config.idle_timeout_ms, config.header_timeout_ms) = (600_000, 600_000)).await;
    let (mut idle, mut half, mut busy) = (server.connect().await, server.connect().await, server.connect().await);
    idle.write_all(REQUEST).await.unwrap();
    assert!(read_response(&mut idle).await.ends_with("page"));
    half.write_all(b"GET /").await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.begun.notified().await;

    server.stop.cancel();
    read_until_closed(&mut idle).await;
    read_until_closed(&mut half).await;
    assert!(!server.task.is_finished());
    server.resume.notify_one();
    let response = read_until_closed(&mut busy).await;
    assert!(response.ends_with("slow"), "{response}");
    timeout(TEST_TIMEOUT, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn after_the_announcement_each_answer_is_the_last_of_its_connection() {
    let server =
        start_test_server(|config| (config.idle_timeout_ms, config.header_timeout_ms) = (600_000, 600_000)).await;
    let (mut idle, mut busy) = (server.connect().await, server.connect().await);
    idle.write_all(REQUEST).await.unwrap();
    assert!(!read_response(&mut idle).await.contains("connection: close"));
    busy.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    server.begun.notified().await;

    server.announcement.cancel();
    let mut new = server.connect().await;
    for stream in [&mut new, &mut idle] {
        stream.write_all(REQUEST).await.unwrap();
        assert_last(&read_until_closed(stream).await);
    }
    server.resume.notify_one();
    let response = read_until_closed(&mut busy).await;
    assert!(response.contains("\r\nconnection: close\r\n") && response.ends_with("slow"), "{response}");
    assert!(!server.task.is_finished());
    server.stop.cancel();
    timeout(TEST_TIMEOUT, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn requests_that_are_on_their_way_when_the_stop_begins_are_answered() {
    let server =
        start_test_server(|config| (config.idle_timeout_ms, config.header_timeout_ms) = (600_000, 600_000)).await;
    let mut idle = vec![];
    for _ in 0..CONNECTIONS {
        let mut stream = server.connect().await;
        stream.write_all(REQUEST).await.unwrap();
        assert!(read_response(&mut stream).await.ends_with("page"));
        idle.push(stream);
    }
    let mut streams = vec![];
    for stream in idle {
        let mut stream = stream.into_std().unwrap();
        io::Write::write_all(&mut stream, REQUEST).unwrap();
        streams.push(stream);
    }
    // Nothing awaits from here on, so that the server has accepted none of these when it stops.
    for _ in 0..CONNECTIONS {
        let mut stream = net::TcpStream::connect(server.address).unwrap();
        io::Write::write_all(&mut stream, REQUEST).unwrap();
        stream.set_nonblocking(true).unwrap();
        streams.push(stream);
    }
    server.stop.cancel();

    for stream in streams {
        assert_last(&read_until_closed(&mut TcpStream::from_std(stream).unwrap()).await);
    }
    timeout(TEST_TIMEOUT, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_a_slow_client_has_not_read_yet_is_still_sent() {
    let server = start_test_server(|config| config.idle_timeout_ms = 600_000).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let begin = read_response(&mut stream).await;
    server.stop.cancel();
    // Longer than a connection without a request stays open.
    tokio::time::sleep(SHUTDOWN_GRACE * 3).await;
    let rest = read_until_closed(&mut stream).await;
    let (_header, body) = begin.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len() + rest.len(), LARGE_PAGE);
    timeout(TEST_TIMEOUT, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_server_ends_after_its_websockets_have_notified_their_clients() {
    let server = start_test_server(|_| {}).await;
    let socket = server.server_stop.track_socket();
    server.stop.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!server.task.is_finished());
    drop(socket);
    timeout(TEST_TIMEOUT, server.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn clients_over_http2_are_asked_to_leave_and_sent_requests_are_answered() {
    let server = start_test_server(|config| config.idle_timeout_ms = 600_000).await;
    let (mut senders, mut connections, mut answers) = (vec![], vec![], vec![]);
    for path in ["/", "/slow"] {
        let stream = TokioIo::new(server.connect().await);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        connections.push(tokio::spawn(connection));
        let request = Request::builder().uri(format!("http://x{path}")).body(Body::empty()).unwrap();
        answers.push(tokio::spawn(sender.send_request(request)));
        // A client without its sender would leave by itself.
        senders.push(sender);
    }
    let slow_answer = answers.pop().unwrap();
    assert_eq!(answers.pop().unwrap().await.unwrap().unwrap().status(), StatusCode::OK);
    server.begun.notified().await;

    server.announcement.cancel();
    let slow = connections.pop().unwrap();
    // Whether the client calls that an error does not matter.
    drop(timeout(TEST_TIMEOUT, connections.pop().unwrap()).await.unwrap().unwrap());
    assert!(!slow_answer.is_finished());
    server.resume.notify_one();
    let answer = timeout(TEST_TIMEOUT, slow_answer).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    drop(answer);
    drop(timeout(TEST_TIMEOUT, slow).await.unwrap().unwrap());
    server.stop.cancel();
    timeout(TEST_TIMEOUT, server.task).await.unwrap().unwrap();
}
