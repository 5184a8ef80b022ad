//! HTTP as a caller meets it, over TCP. The stores are nowhere: what needs none has to work all the same.

use std::fs;

use eventstore::append::PgBatchStore;
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use self::limiter::Limiter;
use super::*;
use crate::{
    config::Config,
    identity::Authenticator,
    rest::{Ingest, Objects},
    serve::Role,
    store::Stores,
};

/// A server on a free port; it ends with the test's runtime.
async fn serve(role: Role, assets: Option<&TempDir>) -> String {
    serve_with(role, |http| http.assets_dir = assets.map(|folder| folder.path().to_owned())).await
}

/// A server whose settings are changed first.
pub(super) async fn serve_with(role: Role, change: impl FnOnce(&mut HttpConfig)) -> String {
    let nowhere = [
        ("DATABASE_URL", "postgres://127.0.0.1:1/medhub"),
        ("KAFKA_BROKERS", "127.0.0.1:1"),
        ("CLICKHOUSE_URL", "http://127.0.0.1:1"),
        ("QDRANT_URL", "http://127.0.0.1:1"),
        ("REDIS_URL", "redis://127.0.0.1:1"),
        ("SCHEMA_REGISTRY_URL", "http://127.0.0.1:1"),
    ];
    let environment = nowhere.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut config = Config::load(None, environment).unwrap();
    change(&mut config.http);
    let stores = Stores::open_without_model(&config).unwrap();
    let served = role.serves_graphql().then(|| {
        let authenticator = Authenticator::new(&config.auth, &config.admin, stores.store.of(), &config.redis).unwrap();
        let graphql = GraphQl::with_identity(&stores, &config.http, &authenticator);
        let ingest = Ingest::new(&config.ingest, PgBatchStore::new(stores.pool.clone()));
        let rest = Rest { stores: stores.clone(), ingest: Arc::new(ingest), objects: Objects::new(&config.objects) };
        Served { graphql, door: Door::new(authenticator, Limiter::none()), rest }
    });
    let app = router(&config.http, served, Arc::new(Readiness::new(stores, role, config.serve.stuck_after())), None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn post(server: &str, kind: &'static str, body: String) -> (StatusCode, Value) {
    let request = reqwest::Client::new().post(format!("{server}/graphql")).header(header::CONTENT_TYPE, kind);
    let answer = request.body(body).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

fn assets() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, _) in assets::FILES {
        fs::write(folder.path().join(file), format!("// {file}")).unwrap();
    }
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    folder
}

#[tokio::test]
async fn a_document_is_answered_in_json() {
    let server = serve(Role::Api, None).await;
    let body = json!({ "query": "{ __typename }" }).to_string();
    let (status, answer) = post(&server, "application/json; charset=utf-8", body).await;
    assert_eq!((status, answer), (StatusCode::OK, json!({ "data": { "__typename": "Query" } })));
}

#[tokio::test]
async fn what_is_no_graphql_request_is_refused_with_a_code() {
    let server = serve(Role::Api, None).await;
    let good = json!({ "query": "{ __typename }" }).to_string();
    let batch = format!("[{good},{good}]");
    let huge = json!({ "query": "#".repeat(2 << 20) }).to_string();
    for (kind, body, expected) in [
        ("text/plain", good, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/json", "{".to_owned(), StatusCode::BAD_REQUEST),
        ("application/json", batch, StatusCode::BAD_REQUEST),
        ("application/json", huge, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, answer) = post(&server, kind, body).await;
        assert_eq!(status, expected, "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID_QUERY", "{answer}");
    }
}

#[tokio::test]
async fn the_playground_takes_its_scripts_from_this_server_only() {
    let folder = assets();
    let server = serve(Role::Api, Some(&folder)).await;
    let answer = reqwest::get(format!("{server}/graphql")).await.unwrap();
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let page = answer.text().await.unwrap();
    assert!(!page.contains("//"), "{page}");
    for (file, kind) in assets::FILES {
        assert!(page.contains(&format!("\"/assets/{file}\"")), "{file}");
        let asset = reqwest::get(format!("{server}/assets/{file}")).await.unwrap();
        assert_eq!(asset.headers()[header::CONTENT_TYPE], kind);
        assert_eq!(asset.text().await.unwrap(), format!("// {file}"));
    }
}

#[tokio::test]
async fn no_other_file_is_served() {
    let folder = assets();
    let server = serve(Role::Api, Some(&folder)).await;
    for path in ["secret.txt", "..%2Fsecret.txt", "%2Fetc%2Fpasswd", "graphiql.min.js%00", ""] {
        let answer = reqwest::get(format!("{server}/assets/{path}")).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn without_its_scripts_the_playground_says_how_to_get_them() {
    let server = serve(Role::Api, None).await;
    let page = reqwest::get(format!("{server}/graphql")).await.unwrap().text().await.unwrap();
    assert!(page.contains("MEDHUB__HTTP__ASSETS_DIR"), "{page}");
    assert_eq!(reqwest::get(format!("{server}/assets/graphiql.min.js")).await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_process_is_alive_but_not_ready_while_its_engines_are_away() {
    let server = serve(Role::Api, None).await;
    assert_eq!(reqwest::get(format!("{server}/health")).await.unwrap().status(), StatusCode::OK);
    let answer = reqwest::get(format!("{server}/ready")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let report: Value = answer.json().await.unwrap();
    let away = json!({ "Postgres": false, "ClickHouse": false, "Qdrant": false, "Redis": false });
    assert_eq!((&report["ready"], &report["engines"]), (&json!(false), &away));
}

#[tokio::test]
async fn a_store_that_is_away_is_told_as_a_code_only() {
    let server = serve(Role::Api, None).await;
    let body = json!({ "query": "{ opportunity(id: \"097:X\") { id } }" }).to_string();
    let (_, answer) = post(&server, "application/json", body).await;
    assert_eq!(answer["errors"][0]["extensions"], json!({ "code": "UNAVAILABLE" }));
    assert_eq!(answer["errors"][0]["message"], "a store is unavailable, try again");
}

#[tokio::test]
async fn a_role_without_graphql_serves_none() {
    let server = serve(Role::Relay, None).await;
    assert_eq!(reqwest::get(format!("{server}/graphql")).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(reqwest::get(format!("{server}/health")).await.unwrap().status(), StatusCode::OK);
}
