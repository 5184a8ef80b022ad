//! Who may write, and that everybody is counted.

use reqwest::{Method, StatusCode};
use serde_json::json;
use tests::{TestNamespace, empty_database};

use super::{
    RegistryProcess, of_type, proposed,
    registry_process::{LOGIN, RegistryApi},
};

async fn status(api: &RegistryApi, method: Method, path: &str, body: Option<serde_json::Value>) -> u16 {
    api.ask(method, path, body).await.status().as_u16()
}

/// What somebody is answered who reads, looks up, registers, deletes, and sets a level.
async fn answers(api: &RegistryApi) -> [u16; 5] {
    let (schema, level) = (proposed(&of_type("A", "int")), json!({ "compatibility": "NONE" }));
    [
        status(api, Method::GET, "/subjects", None).await,
        status(api, Method::POST, "/subjects/a", Some(schema.clone())).await,
        status(api, Method::POST, "/subjects/a/versions", Some(schema)).await,
        status(api, Method::DELETE, "/subjects/a/versions/7", None).await,
        status(api, Method::PUT, "/config/a", Some(level)).await,
    ]
}

#[tokio::test]
async fn the_login_registers_and_only_operators_take_away() {
    let served = RegistryProcess::start().await;
    served.api.register("a", &of_type("A", "int")).await;
    assert_eq!(answers(&served.api.shown(None)).await, [200, 200, 401, 401, 401], "nothing is shown");
    assert_eq!(answers(&served.api.shown(Some(LOGIN))).await, [200, 200, 200, 403, 403], "the login");
    let holds = Some(json!({ "compatibility": "BACKWARD" }));
    let told = status(&served.api.shown(Some(LOGIN)), Method::PUT, "/config/a", holds).await;
    assert_eq!(told, 200, "a level that holds already, as KafkaJS asks for it before it registers");
    assert_eq!(answers(&served.api.shown(Some("medhub:a-wrong-password"))).await, [401; 5]);
    assert_eq!(answers(&served.api).await, [200, 200, 200, 404, 200], "an operator");

    let refused = served.api.shown(None).ask(Method::DELETE, "/subjects/a", None).await;
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["error_code"], 40101);
    assert_eq!(served.api.get("/subjects/a/versions").await, (200, json!([1])), "it is still there");
}

#[tokio::test]
async fn without_a_login_the_registry_is_read_only() {
    let namespace = TestNamespace::new();
    let database = empty_database(&namespace).await;
    let none = [("MEDHUB__REGISTRY__LOGIN", ""), ("MEDHUB__ADMIN__TOKEN", "")];
    let served = RegistryProcess::with(namespace, database, &none).await;
    assert_eq!(answers(&served.api.shown(None)).await, [200, 404, 403, 403, 403]);
}

#[tokio::test]
async fn a_private_registry_asks_readers_too_and_guesses_are_few() {
    let namespace = TestNamespace::new();
    let database = empty_database(&namespace).await;
    let private = [("MEDHUB__REGISTRY__PRIVATE", "true"), ("MEDHUB__LIMITS__REFUSED_TOKENS", "3")];
    let served = RegistryProcess::with(namespace, database, &private).await;
    let (nobody, guesses) = (served.api.shown(None), served.api.shown(Some("medhub:guess")));
    assert_eq!(status(&nobody, Method::GET, "/subjects", None).await, 401);
    assert_eq!(status(&nobody, Method::GET, "/health", None).await, 200);
    assert_eq!(status(&served.api.shown(Some(LOGIN)), Method::GET, "/subjects", None).await, 200);
    let mut told = vec![];
    for _ in 0..5 {
        told.push(status(&guesses, Method::GET, "/subjects", None).await);
    }
    assert_eq!(told[..3], [401; 3]);
    assert!(told.contains(&429), "{told:?}");
}

#[tokio::test]
async fn everybody_is_counted() {
    let served = RegistryProcess::start().await;
    for path in ["/", "/subjects", "/health", "/ready", "/nothing", "/config/"] {
        let answer = served.api.shown(None).ask(Method::GET, path, None).await;
        assert!(answer.headers().contains_key("ratelimit-remaining"), "{path}");
    }
    let refused = served.api.shown(None).ask(Method::POST, "/subjects/a/versions", Some(json!({}))).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
}
