//! Connections that make no progress, at every listener of the program.

use std::{path::Path, time::Duration};

use serde_json::json;
use tests::{
    EnvironmentVariables, HttpResponse, ProductEdge, ProductProcess, SignedInUser, WAIT_TIMEOUT, error_code,
    parse_series, shared_product, token_for_everything_until, unique_name,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

/// The limit of a header, and of a connection without a request.
const LIMIT_MS: &str = "1000";

/// How long a query works: longer than the limits.
const WORK_MS: &str = "3000";

/// What a client sends first over HTTP/2, and an empty frame `SETTINGS`.
const HTTP2_START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// The type of the frame that announces the end of the connection (`GOAWAY`).
const GOAWAY: u8 = 7;

/// Length of the header of a frame: three bytes for the length of the rest, then the type, among others.
const FRAME_HEADER: usize = 9;

/// Starts a process whose clients have little time.
fn start_process(variables: &EnvironmentVariables, logs: &Path, role: &str) -> ProductProcess {
    let mut variables = variables.clone();
    for name in ["HEADER_TIMEOUT_MS", "IDLE_TIMEOUT_MS"] {
        variables.insert(format!("MEDHUB__HTTP__{name}"), LIMIT_MS.to_owned());
    }
    variables.insert("MEDHUB__HTTP__CONSISTENCY_WAIT_MS".to_owned(), WORK_MS.to_owned());
    ProductProcess::start(&variables, logs, role, &["serve", "--role", role]).unwrap()
}

/// Sends bytes, and returns what the server answers until it closes the connection.
async fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![];
    // A reset closes it as well.
    let _closed =
        timeout(WAIT_TIMEOUT, stream.read_to_end(&mut answer)).await.expect("the server closes the connection");
    answer
}

/// Sends a header without end, a byte at a time, until the server has closed the connection.
async fn send_endless_header(address: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let trickle = async {
        while stream.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(WAIT_TIMEOUT, trickle).await.expect("the server closes the connection");
}

/// A connection that sends nothing, half a header, or a header without end is closed, and so is one after its answer.
async fn check_http1(address: &str) {
    let request = b"GET /health HTTP/1.1\r\nhost: x\r\n";
    let answered = [request.as_slice(), b"\r\n"].concat();
    let (silent, half, idle, ()) = tokio::join!(
        exchange(address, b""),
        exchange(address, request),
        exchange(address, &answered),
        send_endless_header(address)
    );
    assert_eq!((silent, half), (vec![], vec![]));
    let idle = String::from_utf8(idle).unwrap();
    assert!(idle.starts_with("HTTP/1.1 ") && !idle.contains("connection: close"), "{idle}");
}

/// A connection over HTTP/2 without a call is told so and closed, and so is one that does not complete its first bytes.
async fn check_http2(address: &str) {
    let (idle, half) = tokio::join!(exchange(address, HTTP2_START), exchange(address, &HTTP2_START[..10]));
    assert_eq!(half, b"");
    let (mut types, mut rest) = (vec![], idle.as_slice());
    while let Some((&[first, second, third, kind, ..], _)) = rest.split_first_chunk::<FRAME_HEADER>() {
        types.push(kind);
        let length = (usize::from(first) << 16) | (usize::from(second) << 8) | usize::from(third);
        rest = rest.get(FRAME_HEADER + length..).unwrap_or_default();
    }
    assert!(types.contains(&GOAWAY), "{types:?}");
}

/// A query that works for longer than a connection may be idle is answered: it waits for a read model that does not
/// reach the token.
async fn check_work(address: &str, unreached: &str) {
    let request = tests::new_http_client().post(format!("http://{address}/graphql"));
    let query = "{ opportunities(first: 1) { totalCount } }";
    let body = json!({ "query": query, "extensions": { "consistencyToken": unreached } });
    let answer = HttpResponse::from_request(request.json(&body)).await;
    assert_eq!(error_code(&answer.body), "NOT_YET", "{}", answer.body);
}

/// Checks that so many connections of an edge were closed at least, by what did not come in time.
async fn check_counters(address: &str, edge: &str, expected: [(&str, u64); 2]) {
    let text = reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap();
    for (reason, at_least) in expected {
        let series = parse_series(&text).into_iter().find(|series| {
            let has = |label: &str, value: &str| series.labels.get(label).is_some_and(|found| found == value);
            series.name == "medhub_connections_timed_out_total" && has("edge", edge) && has("reason", reason)
        });
        let value: u64 = series.unwrap_or_else(|| panic!("{edge} {reason}: {text}")).value.parse().unwrap();
        assert!(value >= at_least, "{edge} {reason}: {value}");
    }
}

#[tokio::test]
async fn connections_that_make_no_progress_are_closed_by_every_listener() {
    let product = shared_product().await;
    let logs = tempfile::tempdir().unwrap();
    let start = |role: &str| start_process(product.variables(), logs.path(), role);
    let (mut api, mut registry) = (start("api"), start("registry"));
    let http = api.wait_for_address(ProductEdge::Http).await.unwrap();
    let grpc = api.wait_for_address(ProductEdge::Grpc).await.unwrap();
    let schemas = registry.wait_for_address(ProductEdge::Http).await.unwrap();
    let user = SignedInUser::register_company(product, "ada", &unique_name("acme")).await;
    let create = "createResource(input: { name: \"Beds\", kind: OTHER, body: \"Beds.\" })";
    let token = token_for_everything_until(&user.apply_change(create, json!({})).await.token);
    let unreached = format!("{}.9000000000000000", token.split_once('.').unwrap().0);

    tokio::join!(
        check_http1(&http),
        check_http2(&http),
        check_http1(&grpc),
        check_http2(&grpc),
        check_http1(&schemas),
        check_work(&http, &unreached)
    );

    for (address, edge, expected) in [
        (&http, "HTTP", [("header", 4), ("idle", 2)]),
        (&http, "gRPC", [("header", 4), ("idle", 2)]),
        (&schemas, "HTTP", [("header", 3), ("idle", 1)]),
    ] {
        check_counters(address, edge, expected).await;
    }
}
