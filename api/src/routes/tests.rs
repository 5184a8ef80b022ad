//! Tests of the HTTP edge over TCP, without engines: requests that need none must succeed.

mod hostile_documents;
mod unreachable_engines;

use std::fs;

use eventstore::append::PgBatchStore;
use futures::future::join_all;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) use self::hostile_documents::hostile_documents;
use self::unreachable_engines::unreachable_engines;
use super::*;
use crate::{
    app_context::{AppContext, BackingService},
    auth::Authenticator,
    config::{AdminConfig, AuthConfig, RateLimitConfig},
    http::{
        connection::{self, ConnectionLimits, ServerStop},
        load_shedder::LoadShedder,
    },
    rest::{IngestConfig, IngestService},
};

/// The routes of a test's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServedRoutes {
    /// All routes.
    Api,
    /// Routes that report on the process, as a process with the role `relay` has them.
    Monitoring,
}

/// Starts a server on a free port; it ends with the test's runtime.
async fn start_server(routes: ServedRoutes, assets: Option<&TempDir>) -> String {
    start_server_with(routes, |http| http.assets_dir = assets.map(|folder| folder.path().to_owned())).await
}

/// Starts a server with a changed configuration.
pub(super) async fn start_server_with(routes: ServedRoutes, change: impl FnOnce(&mut HttpConfig)) -> String {
    start_server_until(&CancellationToken::new(), routes, change).await
}

/// [`start_server_with`], until `stop` is cancelled.
pub(super) async fn start_server_until(
    stop: &CancellationToken,
    routes: ServedRoutes,
    change: impl FnOnce(&mut HttpConfig),
) -> String {
    let mut http = HttpConfig::default();
    change(&mut http);
    let engines = unreachable_engines();
    let app = AppContext::open_without_model(&engines, &http).unwrap();
    let limits = RateLimitConfig::default();
    let services = (routes == ServedRoutes::Api).then(|| {
        let (auth, admin) = (AuthConfig::default(), AdminConfig::default());
        let authenticator = Authenticator::new(&auth, &admin, app.event_store.store_for(), &engines.redis).unwrap();
        let graphql = GraphQl::with_identity(&app, &http, &authenticator);
        let ingest = IngestService::new(&IngestConfig::default(), PgBatchStore::new(app.pool.clone()));
        let gate = RequestGate::new(authenticator, RateLimiter::local_only(&limits), LoadShedder::new(&http));
        let (ingest, objects) = (Arc::new(ingest), app.objects.clone());
        let rest = RestState { app: app.clone(), ingest, objects, gate: gate.clone() };
        ApiServices { graphql, gate, rest, unsubscribe_tokens: None }
    });
    let required: &[_] = match routes {
        ServedRoutes::Api => {
            &[BackingService::POSTGRES, BackingService::CLICKHOUSE, BackingService::QDRANT, BackingService::REDIS]
        }
        ServedRoutes::Monitoring => &[BackingService::POSTGRES, BackingService::KAFKA, BackingService::REGISTRY],
    };
    let readiness = Arc::new(ReadinessProbe::new(app, required, Duration::from_mins(1)));
    let app = router(&http, services, readiness, None, RateLimiter::local_only(&limits));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = ConnectionLimits::new(&http, false);
    tokio::spawn(connection::serve(listener, None, app, limits, ServerStop::new(stop.clone(), stop.clone())));
    format!("http://{address}")
}

async fn post_document(server: &str, kind: &'static str, body: String) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(format!("{server}/graphql")).header(header::CONTENT_TYPE, kind);
    let response = request.body(body).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

fn asset_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, _) in assets::ASSET_FILES {
        fs::write(folder.path().join(file), format!("// {file}")).unwrap();
    }
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    folder
}

#[tokio::test]
async fn a_document_is_answered_in_json() {
    let server = start_server(ServedRoutes::Api, None).await;
    let body = json!({ "query": "{ __typename }" }).to_string();
    let (status, response) = post_document(&server, "application/json; charset=utf-8", body).await;
    assert_eq!((status, response), (StatusCode::OK, json!({ "data": { "__typename": "Query" } })));
}

#[tokio::test]
async fn a_malformed_graphql_request_is_refused_with_a_code() {
    let server = start_server(ServedRoutes::Api, None).await;
    let good = json!({ "query": "{ __typename }" }).to_string();
    let batch = format!("[{good},{good}]");
    let huge = json!({ "query": "#".repeat(2 << 20) }).to_string();
    for (kind, body, expected) in [
        ("text/plain", good, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json", "{".to_owned(), StatusCode::BAD_REQUEST),
        ("application/json", batch, StatusCode::BAD_REQUEST),
        ("application/json", huge, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, response) = post_document(&server, kind, body).await;
        assert_eq!(status, expected, "{response}");
        assert_eq!(response["errors"][0]["extensions"]["code"], "INVALID_QUERY", "{response}");
    }
}

#[tokio::test]
async fn the_playground_loads_its_scripts_from_this_server_only() {
    let folder = asset_folder();
    let server = start_server(ServedRoutes::Api, Some(&folder)).await;
    let response = reqwest::get(format!("{server}/graphql")).await.unwrap();
    let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(!page.contains("//"), "{page}");
    for (file, kind) in assets::ASSET_FILES {
        assert!(page.contains(&format!("\"/assets/{file}\"")), "{file}");
        let asset = reqwest::get(format!("{server}/assets/{file}")).await.unwrap();
        assert_eq!(asset.headers()[header::CONTENT_TYPE], kind);
        assert_eq!(asset.text().await.unwrap(), format!("// {file}"));
    }
}

#[tokio::test]
async fn only_the_listed_assets_are_served() {
    let folder = asset_folder();
    let server = start_server(ServedRoutes::Api, Some(&folder)).await;
    for path in ["secret.txt", "..%2Fsecret.txt", "%2Fetc%2Fpasswd", "graphiql.min.js%00", ""] {
        let response = reqwest::get(format!("{server}/assets/{path}")).await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn without_its_scripts_the_playground_shows_instructions() {
    let server = start_server(ServedRoutes::Api, None).await;
    let page = reqwest::get(format!("{server}/graphql")).await.unwrap().text().await.unwrap();
    assert!(page.contains("MEDHUB__HTTP__ASSETS_DIR"), "{page}");
    assert_eq!(reqwest::get(format!("{server}/assets/graphiql.min.js")).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_process_is_alive_but_not_ready_while_its_engines_are_unavailable() {
    let server = start_server(ServedRoutes::Api, None).await;
    assert_eq!(reqwest::get(format!("{server}/health")).await.unwrap().status(), StatusCode::OK);
    let response = reqwest::get(format!("{server}/ready")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let report: Value = response.json().await.unwrap();
    let unavailable = json!({ "Postgres": false, "ClickHouse": false, "Qdrant": false, "Redis": false });
    assert_eq!((&report["ready"], &report["engines"]), (&json!(false), &unavailable));
}

#[tokio::test]
async fn an_unavailable_store_is_reported_without_its_error() {
    let server = start_server(ServedRoutes::Api, None).await;
    let body = json!({ "query": "{ opportunity(id: \"097:X\") { id } }" }).to_string();
    let (_, response) = post_document(&server, "application/json", body).await;
    assert_eq!(response["errors"][0]["extensions"], json!({ "code": "UNAVAILABLE" }));
    assert_eq!(response["errors"][0]["message"], "a store is unavailable, try again");
}

#[tokio::test]
async fn a_role_without_an_api_serves_no_graphql() {
    let server = start_server(ServedRoutes::Monitoring, None).await;
    assert_eq!(reqwest::get(format!("{server}/graphql")).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(reqwest::get(format!("{server}/health")).await.unwrap().status(), StatusCode::OK);
}

/// Creates a request like one from a page of another origin.
fn cross_origin_request(server: &str, method: &str, path: &str) -> reqwest::RequestBuilder {
    let method = method.parse().unwrap();
    reqwest::Client::new().request(method, format!("{server}{path}")).header("origin", "https://a.example")
}

fn gzip_text(plain: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

const VIEW: &str = r#"{"type":"view","sessionId":"s","pageUrl":"/p"}"#;

#[tokio::test]
async fn pages_of_configured_origins_may_use_the_headers_of_the_api() {
    let server = start_server_with(ServedRoutes::Api, |http| http.cors_origins = "https://a.example".to_owned()).await;
    let names = "authorization,consistency-token,content-encoding,content-type,idempotency-key,if-match,if-none-match,\
                  prefer,range,x-medhub-tenant";
    let request = cross_origin_request(&server, "OPTIONS", "/ingest").header("access-control-request-method", "POST");
    let preflight = request.header("access-control-request-headers", names).send().await.unwrap();
    let header_text = |name: &str| preflight.headers()[name].to_str().unwrap().to_ascii_lowercase();
    assert_eq!(header_text("access-control-allow-credentials"), "true");
    assert_eq!(header_text("access-control-allow-origin"), "https://a.example");
    let allowed = header_text("access-control-allow-headers");
    assert!(names.split(',').all(|name| allowed.split(',').any(|one| one.trim() == name.trim())), "{allowed}");

    let response = cross_origin_request(&server, "GET", "/health").send().await.unwrap();
    let exposed = response.headers()["access-control-expose-headers"].to_str().unwrap().to_ascii_lowercase();
    for name in ["etag", "consistency-token", "content-disposition", "content-range", "preference-applied"] {
        assert!(exposed.split(',').any(|one| one.trim() == name), "{name}: {exposed}");
    }
    let other = reqwest::Client::new().get(format!("{server}/health")).header("origin", "https://b.example");
    assert!(!other.send().await.unwrap().headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn beacons_of_browsers_are_accepted() {
    let server = start_server(ServedRoutes::Api, None).await;
    for kind in [Some("text/plain;charset=UTF-8"), Some("application/json"), None] {
        let mut beacon =
            cross_origin_request(&server, "POST", "/ingest").header("prefer", "wait=10, respond-async").body(VIEW);
        if let Some(kind) = kind {
            beacon = beacon.header("content-type", kind);
        }
        let response = beacon.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED, "{kind:?}");
        assert_eq!(response.headers()["preference-applied"], "respond-async");
    }
    for (path, kind, body) in [("/ingest", "multipart/form-data", VIEW), ("/graphql", "text/plain", "{}")] {
        let response =
            cross_origin_request(&server, "POST", path).header("content-type", kind).body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path}");
    }
}

#[tokio::test]
async fn compressed_requests_are_inflated_within_the_limit_or_refused() {
    let server = start_server_with(ServedRoutes::Api, |http| http.max_body_bytes = 10_000).await;
    let send = async |path: &str, kind: &str, encoding: &str, body: Vec<u8>| {
        let request = cross_origin_request(&server, "POST", path)
            .header("content-type", kind)
            .header("content-encoding", encoding);
        let response = request.header("prefer", "respond-async").body(body).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let document = r#"{"query":"{ __typename }"}"#;
    assert_eq!(send("/ingest", "application/json", "gzip", gzip_text(VIEW)).await.0, 202);
    let (status, body) = send("/graphql", "application/json", "x-gzip", gzip_text(document)).await;
    assert!(status == 200 && body.contains("Query"), "{body}");
    assert_eq!(send("/graphql", "application/json", "identity", document.into()).await.0, 200);
    let bomb = gzip_text(&" ".repeat(10_001));
    assert!(bomb.len() < 1_000);
    assert_eq!(send("/graphql", "application/json", "gzip", bomb).await.0, 413);
    assert_eq!(send("/graphql", "application/json", "gzip", document.into()).await.0, 400);
    assert_eq!(send("/graphql", "application/json", "br", document.into()).await.0, 415);
    assert_eq!(send("/api/v1/documents?fileName=a.txt", "text/plain", "gzip", gzip_text("text")).await.0, 415);
}

#[tokio::test]
async fn a_batch_may_be_longer_than_other_bodies() {
    let server = start_server(ServedRoutes::Api, None).await;
    let event = |number: usize| {
        let (page, before) = (format!("/p/{number}/{:x<2048}", ""), format!("/q/{number}/{:x<2048}", ""));
        json!({ "type": "view", "sessionId": format!("s{number}"), "pageUrl": page[..2_048].to_owned(),
                "referrer": before[..2_048].to_owned(), "opportunityId": "036:X", "at": "2026-03-03T12:00:00Z" })
    };
    // Twice the limit of other bodies.
    let batch = json!({ "events": (0..500).map(event).collect::<Vec<_>>() });
    let response = cross_origin_request(&server, "POST", "/ingest")
        .header("prefer", "respond-async")
        .json(&batch)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED, "{}", response.text().await.unwrap());
}

/// Checks that an answer says how many requests are left.
async fn check_rate_limit(server: &str, path: &str) {
    let response = cross_origin_request(server, "GET", path).send().await.unwrap();
    assert!(response.headers().contains_key("ratelimit-remaining"), "{path}: {:?}", response.headers());
}

/// All at the same time: some ask engines, which nothing answers for seconds.
#[tokio::test]
async fn every_path_is_rate_limited() {
    let server = start_server(ServedRoutes::Api, None).await;
    let relay = start_server(ServedRoutes::Monitoring, None).await;
    let paths =
        ["/", "/health", "/ready", "/slo", "/metrics", "/playground.js", "/assets/none", "/nothing", "/graphql"];
    let of_server = paths.iter().map(|path| check_rate_limit(&server, path));
    join_all(of_server.chain([check_rate_limit(&relay, "/ready")])).await;
}

#[tokio::test]
async fn the_memory_for_bodies_is_limited() {
    let server = start_server_with(ServedRoutes::Api, |http| http.max_body_memory_bytes = 100 * 1024).await;
    let long = format!(r#"{{"query":"{{ __typename }}","extensions":"{}"}}"#, " ".repeat(200 * 1024));
    let response =
        cross_origin_request(&server, "POST", "/graphql").header("content-type", "application/json").body(long);
    let response = response.send().await.unwrap();
    assert_eq!(
        (response.status(), &response.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"1".parse().unwrap())
    );
    assert_eq!(
        post_document(&server, "application/json", json!({ "query": "{ __typename }" }).to_string()).await.0,
        StatusCode::OK
    );
}

/// Sends a GET for a document with this `Accept` header.
async fn get_document(server: &str, query: &str, accept: &str) -> reqwest::Response {
    let request = reqwest::Client::new().get(format!("{server}/graphql?{query}")).header(header::ACCEPT, accept);
    request.send().await.unwrap()
}

const GRAPHQL: &str = "application/graphql-response+json";

#[tokio::test]
async fn a_document_in_the_url_is_answered_in_the_accepted_media_type() {
    let server = start_server(ServedRoutes::Api, None).await;
    let variables =
        "query=query($n:Boolean!){...@include(if:$n){__typename}}&variables=%7B%22n%22:true%7D&operationName=";
    let mutation = "query=mutation{signOut}";
    let (stock, json) = (&format!("{GRAPHQL}, application/json;q=0.9")[..], "application/json");
    for (query, accept, status, kind, expected) in [
        ("query=%7B__typename%7D", json, 200, json, r#"{"data":{"__typename":"Query"}}"#),
        ("query=%7B__typename%7D", "*/*", 200, json, r#"{"data":{"__typename":"Query"}}"#),
        ("query=%7B__typename%7D", stock, 200, GRAPHQL, r#"{"data":{"__typename":"Query"}}"#),
        (variables, stock, 200, GRAPHQL, r#"{"data":{"__typename":"Query"}}"#),
        ("query=%7Bnothing%7D", stock, 400, GRAPHQL, r#"{"errors":[{"message":"Unknown field"#),
        ("query=%7Bnothing%7D", json, 200, json, r#"{"errors":[{"message":"Unknown field"#),
        ("query=%7B", stock, 400, GRAPHQL, r#"{"errors":[{"message":"the document cannot be read"#),
        ("query=%7Ba%7D&variables=7x", stock, 400, GRAPHQL, "the parameter variables"),
        ("", json, 400, json, "there is no document"),
        (mutation, stock, 405, GRAPHQL, "GET supports queries only"),
        ("query=subscription{opportunityDashboard{total}}", stock, 405, GRAPHQL, "GET supports queries only"),
    ] {
        let response = get_document(&server, query, accept).await;
        let found = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let allow = response.headers().get(header::ALLOW).cloned();
        assert_eq!(response.status().as_u16(), status, "{query} {accept}");
        assert!(found.starts_with(kind), "{query} {accept}: {found}");
        assert_eq!(allow.is_some_and(|allow| allow == "POST"), status == 405, "{query} {accept}");
        let body = response.text().await.unwrap();
        assert!(body.contains(expected), "{query} {accept}: {body}");
    }
    let browser = get_document(&server, "query=%7Ba%7D", "text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert!(browser.text().await.unwrap().contains("<html"), "a browser gets the page");
}

#[tokio::test]
async fn persisted_queries_work_by_get_and_unsupported_methods_are_refused() {
    let server = start_server(ServedRoutes::Api, None).await;
    let hash = "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b";
    let extensions =
        format!("extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{hash}%22%7D%7D");
    let unknown = get_document(&server, &extensions, GRAPHQL).await;
    assert_eq!(unknown.status(), StatusCode::OK, "clients read the body");
    assert!(unknown.text().await.unwrap().contains("PersistedQueryNotFound"));
    let with_text = format!("query=%7B%20__typename%20%7D&{extensions}");
    for query in [with_text, extensions] {
        let response = get_document(&server, &query, GRAPHQL).await.text().await.unwrap();
        assert_eq!(response, r#"{"data":{"__typename":"Query"}}"#);
    }
    let put = reqwest::Client::new().put(format!("{server}/graphql")).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::METHOD_NOT_ALLOWED);
    let allowed = put.headers()[header::ALLOW].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}

#[tokio::test]
async fn null_and_empty_fields_of_a_body_count_as_absent() {
    let server = start_server(ServedRoutes::Api, None).await;
    for body in [
        json!({ "query": "{ __typename }", "operationName": "", "variables": null, "extensions": null }),
        json!({ "query": "query A { __typename } query B { nothing }", "operationName": "A" }),
        json!({ "query": "{ __typename }", "id": "relay", "extensions": { "clientLibrary": { "name": "@apollo/client" } } }),
    ] {
        let (_, response) = post_document(&server, "application/json", body.to_string()).await;
        // The second operation is invalid, which is reported before the first one is run.
        let is_invalid = body["operationName"] == "A";
        assert_eq!(response["data"]["__typename"] == "Query", !is_invalid, "{body}: {response}");
    }
    let (status, _) = post_document(&server, "application/json; charset=iso-8859-1", "{}".to_owned()).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
