//! Who may write to the registry, and that all requests are rate-limited.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tests::{TestNamespace, empty_database};

use super::{
    RegistryProcess, one_field_schema,
    registry_process::{LOGIN, RegistryApi},
    schema_body,
};

async fn fetch_status(api: &RegistryApi, method: Method, path: &str, body: Option<serde_json::Value>) -> u16 {
    api.send_request(method, path, body).await.status().as_u16()
}

/// The statuses of a read, a look-up, a registration, a deletion, and setting a level.
async fn fetch_statuses(api: &RegistryApi) -> [u16; 5] {
    let (schema, level) = (schema_body(&one_field_schema("A", "int")), json!({ "compatibility": "NONE" }));
    [
        fetch_status(api, Method::GET, "/subjects", None).await,
        fetch_status(api, Method::POST, "/subjects/a", Some(schema.clone())).await,
        fetch_status(api, Method::POST, "/subjects/a/versions", Some(schema)).await,
        fetch_status(api, Method::DELETE, "/subjects/a/versions/7", None).await,
        fetch_status(api, Method::PUT, "/config/a", Some(level)).await,
    ]
}

#[tokio::test]
async fn the_login_registers_and_only_operators_delete() {
    let served = RegistryProcess::start().await;
    served.api.register("a", &one_field_schema("A", "int")).await;
    assert_eq!(fetch_statuses(&served.api.with_login(None)).await, [200, 200, 401, 401, 401], "without credentials");
    assert_eq!(fetch_statuses(&served.api.with_login(Some(LOGIN))).await, [200, 200, 200, 403, 403], "the login");
    let current_level = Some(json!({ "compatibility": "BACKWARD" }));
    let unchanged = fetch_status(&served.api.with_login(Some(LOGIN)), Method::PUT, "/config/a", current_level).await;
    assert_eq!(unchanged, 200, "setting the current level, as KafkaJS does before it registers");
    assert_eq!(fetch_statuses(&served.api.with_login(Some("medhub:a-wrong-password"))).await, [401; 5]);
    assert_eq!(fetch_statuses(&served.api).await, [200, 200, 200, 404, 200], "an operator");

    let refused = served.api.with_login(None).send_request(Method::DELETE, "/subjects/a", None).await;
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["error_code"], 40101);
    assert_eq!(served.api.get("/subjects/a/versions").await, (200, json!([1])), "the subject is not deleted");
}

#[tokio::test]
async fn without_a_login_the_registry_is_read_only() {
    let namespace = TestNamespace::new();
    let database = empty_database(&namespace).await;
    let none = [("MEDHUB__REGISTRY__LOGIN", ""), ("MEDHUB__ADMIN__TOKEN", "")];
    let served = RegistryProcess::start_with(namespace, database, &none).await;
    assert_eq!(fetch_statuses(&served.api.with_login(None)).await, [200, 404, 403, 403, 403]);
}

#[tokio::test]
async fn a_private_registry_authenticates_readers_and_limits_guesses() {
    let namespace = TestNamespace::new();
    let database = empty_database(&namespace).await;
    let private = [("MEDHUB__REGISTRY__PRIVATE", "true"), ("MEDHUB__LIMITS__REFUSED_TOKENS", "3")];
    let served = RegistryProcess::start_with(namespace, database, &private).await;
    let (anonymous, guessing) = (served.api.with_login(None), served.api.with_login(Some("medhub:guess")));
    assert_eq!(fetch_status(&anonymous, Method::GET, "/subjects", None).await, 401);
    assert_eq!(fetch_status(&anonymous, Method::GET, "/health", None).await, 200);
    assert_eq!(fetch_status(&served.api.with_login(Some(LOGIN)), Method::GET, "/subjects", None).await, 200);
    let mut guesses = vec![];
    for _ in 0..5 {
        guesses.push(fetch_status(&guessing, Method::GET, "/subjects", None).await);
    }
    assert_eq!(guesses[..3], [401; 3]);
    assert!(guesses.contains(&429), "{guesses:?}");
}

#[tokio::test]
async fn every_path_is_rate_limited() {
    let served = RegistryProcess::start().await;
    for path in ["/", "/subjects", "/health", "/ready", "/nothing", "/config/"] {
        let answer = served.api.with_login(None).send_request(Method::GET, path, None).await;
        assert!(answer.headers().contains_key("ratelimit-remaining"), "{path}");
    }
    let refused = served.api.with_login(None).send_request(Method::POST, "/subjects/a/versions", Some(json!({}))).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}
