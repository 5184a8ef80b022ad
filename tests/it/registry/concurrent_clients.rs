//! Concurrent clients of several registry processes, and registry processes that are killed.

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{RegistryProcess, one_field_schema, record_schema, registry_process::run_statement};
use tests::{TestNamespace, WAIT_TIMEOUT, empty_database};
use tokio::time::timeout;

const CLIENT_COUNT: usize = 8;

/// A schema that is unique for its number.
fn numbered_schema(number: usize) -> String {
    record_schema("Notice", &json!([{ "name": format!("field_{number}"), "type": "int", "default": 0 }]))
}

#[tokio::test]
async fn processes_that_start_at_once_on_an_empty_database_serve_the_same_registry() {
    let namespace = TestNamespace::new();
    let database = empty_database(&namespace).await;
    let all = join_all((0..3).map(|_| RegistryProcess::start_on(namespace.clone(), database.clone()))).await;
    let id = all[0].api.register("a", &one_field_schema("A", "int")).await;
    for served in &all {
        assert_eq!(served.api.get(&format!("/schemas/ids/{id}/subjects")).await, (200, json!(["a"])));
    }
}

#[tokio::test]
async fn the_same_schema_registered_concurrently_gets_one_id_and_one_version() {
    let served = RegistryProcess::start().await;
    let second = served.start_second().await;
    let schema = one_field_schema("A", "int");
    let clients = (0..CLIENT_COUNT).flat_map(|_| [&served.api, &second.api]);
    let ids: BTreeSet<i64> = join_all(clients.map(|api| api.register("a", &schema))).await.into_iter().collect();
    assert_eq!(ids, BTreeSet::from([1]));
    assert_eq!(served.api.get("/subjects/a/versions").await, (200, json!([1])));
}

#[tokio::test]
async fn different_schemas_registered_concurrently_get_consecutive_ids_and_versions() {
    let served = RegistryProcess::start().await;
    let second = served.start_second().await;
    let schemas: Vec<String> = (0..CLIENT_COUNT * 4).map(numbered_schema).collect();
    let register = |(number, schema): (usize, &String)| {
        let api = if number % 2 == 0 { served.api.clone() } else { second.api.clone() };
        // Half of the schemas are under one subject, half under subjects of their own.
        let subject = if number % 4 < 2 { "shared".to_owned() } else { format!("own-{number}") };
        let schema = schema.clone();
        async move { api.register(&subject, &schema).await }
    };
    let ids: BTreeSet<i64> = join_all(schemas.iter().enumerate().map(register)).await.into_iter().collect();
    assert_eq!(ids, (1..=32).collect());
    assert_eq!(served.api.get("/subjects/shared/versions").await, (200, json!((1..=16).collect::<Vec<_>>())));
}

#[tokio::test]
async fn of_two_incompatible_schemas_registered_concurrently_one_is_accepted() {
    let served = RegistryProcess::start().await;
    let second = served.start_second().await;
    let path = "/subjects/a/versions";
    let (int, text) =
        (super::schema_body(&one_field_schema("A", "int")), super::schema_body(&one_field_schema("A", "string")));
    let (one, other) = tokio::join!(served.api.post(path, int), second.api.post(path, text));
    assert_eq!(BTreeSet::from([one.0, other.0]), BTreeSet::from([200, 409]), "{one:?} {other:?}");
    assert_eq!(served.api.get(path).await, (200, json!([1])));
}

#[tokio::test]
async fn kill_9_loses_no_acknowledged_schema() {
    let mut served = RegistryProcess::start().await;
    let mut known: Vec<(i64, String)> = Vec::new();
    for round in 0..3 {
        let clients: Vec<_> = (0..CLIENT_COUNT)
            .map(|client| {
                let (api, schema) = (served.api.clone(), numbered_schema(round * CLIENT_COUNT + client));
                tokio::spawn(async move { try_register(&api.url, schema).await })
            })
            .collect();
        // The kill comes when some requests are acknowledged and others are in progress.
        let first = async { while served.api.get("/schemas/ids/1").await.0 != 200 {} };
        timeout(WAIT_TIMEOUT, first).await.unwrap();
        served = served.kill9_and_restart().await;
        known.extend(join_all(clients).await.into_iter().filter_map(Result::unwrap));
    }
    for (id, schema) in &known {
        let (status, answer) = served.api.get(&format!("/schemas/ids/{id}")).await;
        assert_eq!((status, answer["schema"].as_str()), (200, Some(schema.as_str())), "{id}");
    }
    // A request in progress at the kill was either recorded or not; it leaves no gap in the ids.
    let versions = served.api.get("/subjects/a/versions").await.1.as_array().unwrap().len();
    let next = served.api.register("a", &numbered_schema(1000)).await;
    assert_eq!(usize::try_from(next).unwrap(), versions + 1);
}

/// Registers a schema; `None` if the registry was killed meanwhile.
async fn try_register(url: &str, schema: String) -> Option<(i64, String)> {
    let body = super::schema_body(&schema);
    let answer = tests::new_http_client().post(format!("{url}/subjects/a/versions")).json(&body).send().await.ok()?;
    let answer: Value = answer.json().await.ok()?;
    Some((answer["id"].as_i64()?, schema))
}

#[tokio::test]
async fn an_error_of_the_database_is_answered_without_its_text() {
    let served = RegistryProcess::start().await;
    served.api.register("a", &one_field_schema("A", "int")).await;
    run_statement(served.database(), "alter table schema_registry.versions rename to secret").await;

    let (status, answer) = served.api.get("/subjects").await;

    assert_eq!(status, 500);
    assert_eq!(answer, json!({ "error_code": 50001, "message": "Error in the backend data store" }));
    run_statement(served.database(), "alter table schema_registry.secret rename to versions").await;
    assert_eq!(served.api.get("/subjects").await, (200, json!(["a"])));
}
