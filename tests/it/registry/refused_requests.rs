//! Refused requests: Confluent's codes, and a message that says why.

use serde_json::{Value, json};

use super::{RegistryProcess, one_field_schema, record_schema, schema_body};

fn error_code(answer: &(u16, Value)) -> (u16, u64) {
    let message = answer.1["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{answer:?}");
    (answer.0, answer.1["error_code"].as_u64().unwrap())
}

#[tokio::test]
async fn each_kind_of_missing_object_has_its_own_code() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let schema = one_field_schema("A", "int");
    api.register("a", &schema).await;
    for (path, expected) in [
        ("/subjects/b/versions", 40401),
        ("/subjects/b/versions/1", 40401),
        ("/subjects/b/versions/latest", 40401),
        ("/subjects/a/versions/2", 40402),
        ("/subjects/a/versions/2/schema", 40402),
        ("/schemas/ids/9", 40403),
        ("/schemas/ids/9/schema", 40403),
        ("/schemas/ids/9/subjects", 40403),
        ("/schemas/ids/9/versions", 40403),
        ("/schemas/ids/nine", 404),
        ("/config/a", 40408),
        ("/mode/a", 40409),
        ("/nothing/here", 404),
    ] {
        assert_eq!(error_code(&api.get(path).await), (404, expected), "{path}");
    }
    for (path, expected) in [
        ("/subjects/b", 40401),
        ("/compatibility/subjects/b/versions/1", 40401),
        ("/compatibility/subjects/a/versions/2", 40402),
    ] {
        assert_eq!(error_code(&api.post(path, schema_body(&schema)).await), (404, expected), "{path}");
    }
    assert_eq!(error_code(&api.post("/subjects/a", schema_body(&one_field_schema("A", "long"))).await), (404, 40403));
    assert_eq!(error_code(&api.delete("/subjects/b").await), (404, 40401));
    assert_eq!(error_code(&api.delete("/subjects/a/versions/2").await), (404, 40402));
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_with_the_name_of_the_field() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    api.register("a", &record_schema("A", &json!([{ "name": "title", "type": "string" }]))).await;
    let breaking =
        record_schema("A", &json!([{ "name": "title", "type": "string" }, { "name": "zip", "type": "string" }]));
    let answer = api.post("/subjects/a/versions", schema_body(&breaking)).await;
    assert_eq!(error_code(&answer), (409, 409));
    let message = answer.1["message"].as_str().unwrap();
    assert!(message.contains("zip") && message.contains("version 1") && message.contains("BACKWARD"), "{message}");
    assert_eq!(api.get("/subjects/a/versions").await, (200, json!([1])));
}

#[tokio::test]
async fn invalid_registrations_are_refused_with_the_reason() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let schema = one_field_schema("A", "int");
    let reference = json!([{ "name": "b", "subject": "b", "version": 1 }]);
    let long = format!("{{\"type\":\"string\",\"doc\":\"{}\"}}", "x".repeat(600_000));
    for (body, expected, reason) in [
        (json!({}), 42201, "Empty schema"),
        (json!({ "schema": "" }), 42201, "Empty schema"),
        (json!({ "schema": "{" }), 42201, "not JSON"),
        (json!({ "schema": "{\"type\":\"rekord\"}" }), 42201, "rekord"),
        (json!({ "schema": long }), 42201, "524288"),
        (json!({ "schema": schema, "schemaType": "PROTOBUF" }), 42201, "PROTOBUF"),
        (json!({ "schema": schema, "schemaType": "JSON" }), 42201, "AVRO only"),
        (json!({ "schema": schema, "references": reference }), 42201, "references"),
        (json!({ "schema": schema, "metadata": { "properties": { "a": "b" } } }), 42201, "metadata"),
        (json!({ "schema": schema, "id": 7 }), 42205, "import mode"),
    ] {
        let answer = api.post("/subjects/a/versions", body).await;
        assert_eq!(error_code(&answer), (422, expected), "{answer:?}");
        assert!(answer.1["message"].as_str().unwrap().contains(reason), "{answer:?}");
    }
    let with_defaults =
        json!({ "schema": schema, "schemaType": "AVRO", "references": [], "metadata": null, "version": 0 });
    assert_eq!(api.post("/subjects/a/versions", with_defaults).await, (200, json!({ "id": 1 })));
}

#[tokio::test]
async fn invalid_names_versions_and_levels_are_refused() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    for version in ["0", "-2", "newest", "99999999999"] {
        assert_eq!(error_code(&api.get(&format!("/subjects/a/versions/{version}")).await), (422, 42202), "{version}");
    }
    for subject in ["%00", "a%0Ab", "%20"] {
        let path = format!("/subjects/{subject}/versions");
        assert_eq!(error_code(&api.post(&path, schema_body("\"int\"")).await), (422, 42208), "{subject}");
    }
    for level in [json!({ "compatibility": "SIDEWAYS" }), json!({})] {
        assert_eq!(error_code(&api.put("/config", level.clone()).await), (422, 42203), "{level}");
        assert_eq!(error_code(&api.put("/config/a", level.clone()).await), (422, 42203), "{level}");
    }
    assert_eq!(error_code(&api.get("/subjects?deleted=maybe").await), (400, 400));
    assert_eq!(error_code(&api.put("/subjects/a", json!({})).await), (405, 405));
    assert_eq!(error_code(&api.get("/subjects/%FF/versions").await), (400, 400));
}

#[tokio::test]
async fn bodies_that_are_not_json_of_a_known_type_or_too_long_are_refused() {
    let served = RegistryProcess::start().await;
    let path = format!("{}/subjects/a/versions", served.api.url);
    let send = async |kind: &str, body: String| {
        let answer = tests::new_http_client().post(&path).header("content-type", kind).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let schema = schema_body("\"int\"").to_string();
    assert_eq!(error_code(&send("application/json", "{".to_owned()).await), (400, 400));
    assert_eq!(error_code(&send("application/json", "[1]".to_owned()).await), (400, 400));
    assert_eq!(error_code(&send("text/plain", schema.clone()).await), (415, 415));
    assert_eq!(error_code(&send("application/x-www-form-urlencoded", schema.clone()).await), (415, 415));
    assert_eq!(error_code(&send("application/json", " ".repeat(1024 * 1024 + 16)).await), (413, 413));
    assert_eq!(send("application/json; charset=utf-8", schema).await, (200, json!({ "id": 1 })));
}
