//! The responses of the registry, as Confluent's documentation describes them.

use reqwest::Method;
use serde_json::{Value, json};

use super::{RegistryProcess, one_field_schema, record_schema, schema_body};

#[tokio::test]
async fn versions_are_registered_found_and_looked_up() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let (int, long) = (one_field_schema("A", "int"), one_field_schema("A", "long"));
    assert_eq!(api.get("/").await, (200, json!({})));
    assert_eq!(api.get("/subjects").await, (200, json!([])));

    assert_eq!(api.post("/subjects/a/versions", schema_body(&int)).await, (200, json!({ "id": 1 })));
    assert_eq!(api.post("/subjects/a/versions", schema_body(&long)).await, (200, json!({ "id": 2 })));

    let second = json!({ "subject": "a", "version": 2, "id": 2, "schema": long });
    assert_eq!(api.get("/subjects").await, (200, json!(["a"])));
    assert_eq!(api.get("/subjects?subjectPrefix=b").await, (200, json!([])));
    assert_eq!(api.get("/subjects/a/versions").await, (200, json!([1, 2])));
    assert_eq!(api.get("/subjects/a/versions/2").await, (200, second.clone()));
    assert_eq!(api.get("/subjects/a/versions/latest").await, (200, second.clone()));
    assert_eq!(api.get("/subjects/a/versions/-1").await, (200, second.clone()));
    assert_eq!(api.get("/subjects/a/versions/2/schema").await, (200, serde_json::from_str(&long).unwrap()));
    assert_eq!(api.get("/subjects/a/versions/2/referencedby").await, (200, json!([])));
    assert_eq!(api.post("/subjects/a", schema_body(&long)).await, (200, second));
    assert_eq!(api.get("/schemas/ids/1").await, (200, json!({ "schema": int })));
    assert_eq!(api.get("/schemas/ids/1?fetchMaxId=true").await, (200, json!({ "schema": int, "maxId": 2 })));
    assert_eq!(api.get("/schemas/ids/1/schema").await, (200, serde_json::from_str(&int).unwrap()));
    assert_eq!(api.get("/schemas/ids/1/subjects").await, (200, json!(["a"])));
    assert_eq!(api.get("/schemas/ids/1/versions").await, (200, json!([{ "subject": "a", "version": 1 }])));
    assert_eq!(api.get("/schemas/types").await, (200, json!(["AVRO"])));
    assert_eq!(api.get("/mode").await, (200, json!({ "mode": "READWRITE" })));
}

#[tokio::test]
async fn the_same_schema_has_one_id_under_every_subject_and_formatting() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let text = one_field_schema("A", "int");
    let spaced = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text).unwrap()).unwrap();
    for (subject, schema) in [("a", &text), ("a", &text), ("a", &spaced), ("b", &spaced)] {
        assert_eq!(api.register(subject, schema).await, 1);
    }
    assert_eq!(api.get("/subjects/a/versions").await, (200, json!([1])));
    assert_eq!(api.get("/schemas/ids/1/subjects").await, (200, json!(["a", "b"])));
    assert_eq!(api.register("b", &one_field_schema("A", "long")).await, 2, "ids are consecutive");
}

#[tokio::test]
async fn compatibility_levels_are_set_globally_and_by_subject_and_apply_to_registrations() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let (int, text) = (one_field_schema("A", "int"), one_field_schema("A", "string"));
    assert_eq!(api.get("/config").await, (200, json!({ "compatibilityLevel": "BACKWARD" })));
    let full = json!({ "compatibility": "FULL" });
    assert_eq!(api.put("/config", full.clone()).await, (200, full));
    assert_eq!(api.get("/config").await, (200, json!({ "compatibilityLevel": "FULL" })));
    assert_eq!(api.get("/config/a").await.1["error_code"], 40408);
    let global = api.get("/config/a?defaultToGlobal=true").await;
    assert_eq!(global, (200, json!({ "compatibilityLevel": "FULL" })));
    api.register("a", &int).await;
    assert_eq!(api.post("/subjects/a/versions", schema_body(&text)).await.0, 409);

    api.put("/config/a", json!({ "compatibility": "none" })).await;

    assert_eq!(api.get("/config/a").await, (200, json!({ "compatibilityLevel": "NONE" })));
    assert_eq!(api.post("/subjects/a/versions", schema_body(&text)).await.0, 200);
    assert_eq!(api.delete("/config/a").await, (200, json!({ "compatibilityLevel": "NONE" })));
    assert_eq!(api.delete("/config/a").await.1["error_code"], 40401);
    assert_eq!(api.delete("/config").await, (200, json!({ "compatibilityLevel": "FULL" })));
    assert_eq!(api.get("/config").await, (200, json!({ "compatibilityLevel": "BACKWARD" })));
}

#[tokio::test]
async fn compatibility_is_checked_without_registering() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let one = record_schema("A", &json!([{ "name": "a", "type": "int" }]));
    let with_default =
        record_schema("A", &json!([{ "name": "a", "type": "int" }, { "name": "b", "type": "int", "default": 0 }]));
    let without = record_schema("A", &json!([{ "name": "a", "type": "int" }, { "name": "b", "type": "int" }]));
    let at = |version: &str| format!("/compatibility/subjects/a/versions{version}");
    assert_eq!(api.post(&at("/latest"), schema_body(&without)).await, (200, json!({ "is_compatible": true })));
    api.register("a", &one).await;
    api.register("a", &with_default).await;

    assert_eq!(api.post(&at("/latest"), schema_body(&without)).await, (200, json!({ "is_compatible": true })));
    assert_eq!(api.post(&at(""), schema_body(&without)).await, (200, json!({ "is_compatible": true })));
    assert_eq!(api.post(&at("/1"), schema_body(&without)).await, (200, json!({ "is_compatible": false })));
    let (_, verbose) = api.post(&at("/1?verbose=true"), schema_body(&without)).await;
    let messages = verbose["messages"].to_string();
    assert!(messages.contains('b') && messages.contains("version 1"), "{messages}");
    let compatible = api.post(&at("/2?verbose=true"), schema_body(&without)).await;
    assert_eq!(compatible, (200, json!({ "is_compatible": true, "messages": [] })));
    api.put("/config/a", json!({ "compatibility": "BACKWARD_TRANSITIVE" })).await;
    assert_eq!(api.post(&at(""), schema_body(&without)).await, (200, json!({ "is_compatible": false })));
    assert_eq!(api.get("/subjects/a/versions").await, (200, json!([1, 2])));
}

#[tokio::test]
async fn versions_are_deleted_softly_then_permanently_and_no_id_is_reused() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let (int, long, double) =
        (one_field_schema("A", "int"), one_field_schema("A", "long"), one_field_schema("A", "double"));
    for schema in [&int, &long, &double] {
        api.register("a", schema).await;
    }
    assert_eq!(api.delete("/subjects/a/versions/3?permanent=true").await.1["error_code"], 40407);
    assert_eq!(api.delete("/subjects/a/versions/latest").await, (200, json!(3)));
    assert_eq!(api.delete("/subjects/a/versions/3").await.1["error_code"], 40406);
    assert_eq!(api.get("/subjects/a/versions").await, (200, json!([1, 2])));
    assert_eq!(api.get("/subjects/a/versions?deleted=true").await, (200, json!([1, 2, 3])));
    assert_eq!(api.get("/subjects/a/versions?deletedOnly=true").await, (200, json!([3])));
    assert_eq!(api.get("/schemas/ids/3").await.0, 200, "stored data may still use it");
    assert_eq!(api.delete("/subjects/a/versions/3?permanent=true").await, (200, json!(3)));
    assert_eq!(api.get("/schemas/ids/3").await.1["error_code"], 40403);

    assert_eq!(api.register("a", &double).await, 4, "3 is not reused, because clients may have cached it");

    assert_eq!(api.delete("/subjects/a?permanent=true").await.1["error_code"], 40405);
    assert_eq!(api.delete("/subjects/a").await, (200, json!([1, 2, 3])));
    assert_eq!(api.delete("/subjects/a").await.1["error_code"], 40404);
    assert_eq!(api.get("/subjects").await, (200, json!([])));
    assert_eq!(api.get("/subjects?deleted=true").await, (200, json!(["a"])));
    assert_eq!(api.get("/subjects?deletedOnly=true").await, (200, json!(["a"])));
    assert_eq!(
        api.register("a", &one_field_schema("A", "string")).await,
        5,
        "deleted versions impose no compatibility"
    );
    assert_eq!(api.get("/subjects/a/versions").await, (200, json!([4])));
    api.delete("/subjects/a").await;
    assert_eq!(api.delete("/subjects/a?permanent=true").await, (200, json!([1, 2, 3, 4])));
    assert_eq!(api.get("/subjects?deleted=true").await, (200, json!([])));
}

#[tokio::test]
async fn names_with_slashes_and_umlauts_are_valid_subjects() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    api.register("a%2Fb%20%C3%BC", &one_field_schema("A", "int")).await;
    assert_eq!(api.get("/subjects").await, (200, json!(["a/b ü"])));
    assert_eq!(api.get("/subjects/a%2Fb%20%C3%BC/versions/1").await.1["subject"], "a/b ü");
}

#[tokio::test]
async fn the_registry_reports_that_it_is_alive_and_ready() {
    let served = RegistryProcess::start().await;
    for (path, expected) in [
        ("/health", json!({ "alive": true })),
        ("/ready", json!({ "ready": true, "stopping": false, "engines": { "Postgres": true }, "parts": {} })),
    ] {
        let answer = served.api.send_request(Method::GET, path, None).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.json::<Value>().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn variants_of_paths_and_flags_of_known_clients_are_accepted() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let (int, long) = (one_field_schema("A", "int"), one_field_schema("A", "long"));
    api.register("a", &int).await;
    api.register("a", &long).await;
    api.register("b", &int).await;

    // confluent-kafka (Python) writes `False` for false.
    let first = json!({ "subject": "a", "version": 1, "id": 1, "schema": int });
    assert_eq!(api.post("/subjects/a?normalize=False&deleted=False", schema_body(&int)).await, (200, first.clone()));
    let path = "/compatibility/subjects/a/versions/latest?normalize=False&verbose=True";
    assert_eq!(api.post(path, schema_body(&long)).await.1["is_compatible"], true);
    // franz-go, and clients whose base URL ends with a slash.
    assert_eq!(api.get("/config/").await, (200, json!({ "compatibilityLevel": "BACKWARD" })));
    assert_eq!(api.get("//subjects/").await, (200, json!(["a", "b"])));
    assert_eq!(api.get("/mode/?defaultToGlobal=true").await, (200, json!({ "mode": "READWRITE" })));
    // kafka-ui, and tools that copy registries.
    assert_eq!(api.get("/contexts").await, (200, json!(["."])));
    assert_eq!(api.get("/subjects?subjectPrefix=:*:").await, (200, json!(["a", "b"])));
    let second = json!({ "subject": "a", "version": 2, "id": 2, "schema": long });
    let other = json!({ "subject": "b", "version": 1, "id": 1, "schema": int });
    assert_eq!(api.get("/schemas").await, (200, json!([first, second, other])));
    assert_eq!(api.get("/schemas?latestOnly=true").await, (200, json!([second, other])));
    assert_eq!(api.get("/schemas?subjectPrefix=b&offset=0&limit=10").await, (200, json!([other])));
    api.delete("/subjects/b").await;
    assert_eq!(api.get("/schemas?latestOnly=true").await, (200, json!([second])));
    assert_eq!(api.get("/schemas?latestOnly=true&deleted=True").await, (200, json!([second, other])));
}

#[tokio::test]
async fn the_mode_is_always_readwrite() {
    let served = RegistryProcess::start().await;
    let api = &served.api;
    let mode = json!({ "mode": "READWRITE" });
    assert_eq!(api.put("/mode", mode.clone()).await, (200, mode.clone()));
    assert_eq!(api.put("/mode/a?force=true", json!({ "mode": "IMPORT" })).await.1["error_code"], 42205);
    assert_eq!(api.put("/mode", json!({ "mode": "SIDEWAYS" })).await.1["error_code"], 42204);
    assert_eq!(api.delete("/mode/a").await.1["error_code"], 40409);
    assert_eq!(api.get("/mode").await, (200, mode));
}
