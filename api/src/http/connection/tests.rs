//! Tests of connections that make no progress, over TCP.

use axum::routing::get;
use hyper::client::conn::http2;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
    time::timeout,
};

use super::*;
use crate::config::HttpConfig;

/// Far longer than a passing test takes.
pub(super) const TEST_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Length of the large page: more than a connection has room for on its way.
pub(super) const LARGE_PAGE: usize = 16 * 1024 * 1024;

/// A server with a fast, a large and a slow page; the slow one is answered on `resume`.
pub(super) struct RunningServer {
    pub(super) address: SocketAddr,
    /// Announces its stop.
    pub(super) announcement: CancellationToken,
    pub(super) stop: CancellationToken,
    pub(super) server_stop: ServerStop,
    /// The slow page was requested.
    pub(super) begun: Arc<Notify>,
    pub(super) resume: Arc<Notify>,
    pub(super) task: tokio::task::JoinHandle<()>,
}

pub(super) async fn start_test_server(change: impl FnOnce(&mut HttpConfig)) -> RunningServer {
    let mut config = HttpConfig::default();
    change(&mut config);
    let (announcement, stop) = (CancellationToken::new(), CancellationToken::new());
    let (begun, resume) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (request_seen, resumed) = (Arc::clone(&begun), Arc::clone(&resume));
    let slow = get(async move || {
        request_seen.notify_one();
        resumed.notified().await;
        "slow"
    });
    let router = Router::new()
        .route("/", get(async || "page"))
        .route("/slow", slow)
        .route("/large", get(async || "x".repeat(LARGE_PAGE)))
        .route("/health", get(async || "alive"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server_stop = ServerStop::new(announcement.clone(), stop.clone());
    let task = tokio::spawn(serve(listener, None, router, ConnectionLimits::new(&config, false), server_stop.clone()));
    RunningServer { address, announcement, stop, server_stop, begun, resume, task }
}

impl RunningServer {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

/// Reads everything until the server closes the connection.
pub(super) async fn read_until_closed(stream: &mut TcpStream) -> String {
    let mut all = vec![];
    // A reset closes it as well.
    let _ = timeout(TEST_TIMEOUT, stream.read_to_end(&mut all)).await.unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

pub(super) async fn read_response(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 4096];
    let length = timeout(TEST_TIMEOUT, stream.read(&mut buffer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_connection_with_an_incomplete_header_is_closed() {
    let server = start_test_server(|config| config.header_timeout_ms = 100).await;
    for half in [&b""[..], b"G", b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ", b"PRI * HTTP", b"\x16\x03\x01"] {
        let mut stream = server.connect().await;
        stream.write_all(half).await.unwrap();
        let response = read_until_closed(&mut stream).await;
        assert!(!response.starts_with("HTTP/1.1 200"), "{response}");
    }
    let mut trickle = server.connect().await;
    let sent = async {
        for byte in b"GET / HTTP/1.1\r\n".iter().chain(std::iter::repeat_n(&b'a', 1_000_000)) {
            if trickle.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(TEST_TIMEOUT, sent).await.unwrap();
}

#[tokio::test]
async fn a_connection_can_be_reused_until_the_idle_timeout() {
    let server = start_test_server(|config| config.idle_timeout_ms = 1_000).await;
    let mut stream = server.connect().await;
    for _ in 0..2 {
        stream.write_all(REQUEST).await.unwrap();
        let response = read_response(&mut stream).await;
        assert!(response.ends_with("page"), "{response}");
    }
    assert_eq!(read_until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn an_incomplete_header_after_a_complete_request_is_closed() {
    let server =
        start_test_server(|config| (config.header_timeout_ms, config.idle_timeout_ms) = (2_000, 600_000)).await;
    let mut stream = server.connect().await;
    stream.write_all(&[REQUEST, b"GET / HT"].concat()).await.unwrap();
    let response = read_until_closed(&mut stream).await;
    assert!(response.contains("page"), "{response}");
}

#[tokio::test]
async fn a_request_in_progress_has_no_idle_timeout() {
    let server = start_test_server(|config| config.idle_timeout_ms = 50).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    server.begun.notified().await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.resume.notify_one();
    let response = read_until_closed(&mut stream).await;
    assert!(response.ends_with("slow"), "{response}");
}

#[tokio::test]
async fn connections_of_an_address_are_limited_and_released() {
    let server =
        start_test_server(|config| (config.max_connections_per_address, config.header_timeout_ms) = (2, 600_000)).await;
    let mut open = [server.connect().await, server.connect().await];
    for stream in &mut open {
        stream.write_all(REQUEST).await.unwrap();
        assert!(read_response(stream).await.ends_with("page"));
    }
    for (path, status) in [("/", "503"), ("/health", "200")] {
        let mut beyond = server.connect().await;
        beyond.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let response = read_until_closed(&mut beyond).await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {response}");
    }
    drop(open);
    let reconnect = async {
        loop {
            let mut stream = server.connect().await;
            let sent = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
            if sent.is_ok() && read_until_closed(&mut stream).await.ends_with("page") {
                return;
            }
        }
    };
    timeout(TEST_TIMEOUT, reconnect).await.unwrap();
}

#[tokio::test]
async fn at_the_total_limit_only_reports_on_the_process_are_answered() {
    let server = start_test_server(|config| {
        (config.max_connections, config.header_timeout_ms, config.idle_timeout_ms) = (2, 600_000, 600_000);
    })
    .await;
    let mut open = [server.connect().await, server.connect().await];
    for stream in &mut open {
        stream.write_all(REQUEST).await.unwrap();
        assert!(read_response(stream).await.ends_with("page"));
    }

    let mut refused = server.connect().await;
    refused.write_all(REQUEST).await.unwrap();
    let response = read_until_closed(&mut refused).await;
    assert!(response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nretry-after: 1\r\n"), "{response}");
    assert!(response.contains(r#""code":"UNAVAILABLE""#), "{response}");

    // It is closed although the time-outs are long: others wait for its permit.
    let mut silent = server.connect().await;
    assert_eq!(read_until_closed(&mut silent).await, "");

    let mut probe = server.connect().await;
    probe.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let response = read_until_closed(&mut probe).await;
    assert!(response.starts_with("HTTP/1.1 200 ") && response.ends_with("alive"), "{response}");
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_after_a_request_also_over_http2() {
    let server = start_test_server(|config| {
        (config.max_connections, config.header_timeout_ms, config.idle_timeout_ms) = (0, 600_000, 600_000);
    })
    .await;
    for (method, uri, status) in [
        (Method::GET, "http://x/", StatusCode::SERVICE_UNAVAILABLE),
        (Method::GET, "http://x/health", StatusCode::OK),
        (Method::CONNECT, "x:80", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let stream = TokioIo::new(server.connect().await);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = || Request::builder().method(&method).uri(uri).body(Body::empty()).unwrap();
        assert_eq!(sender.send_request(request()).await.unwrap().status(), status, "{method} {uri}");
        let ended = async {
            while sender.send_request(request()).await.is_ok() {}
            connection.await.unwrap()
        };
        // Whether the client calls that an error does not matter.
        drop(timeout(TEST_TIMEOUT, ended).await.unwrap());
    }
}
