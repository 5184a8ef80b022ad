//! The product's commands that use a registry: `migrate`, `schemas`, `doctor`.

use std::process::Output;

use reqwest::{Method, StatusCode};
use schemas::catalog;
use serde_json::{Value, json};
use tokio::process::Command;

use super::{RegistryProcess, schema_body};
use tests::{engines, medhub_local, output_text};

/// Runs a command of the product with this registry, in its namespace of the shared engines.
async fn run_medhub(served: &RegistryProcess, args: &[&str]) -> Output {
    run_medhub_with_registry(served, &served.api.url, args).await
}

/// [`run_medhub`] with another registry.
async fn run_medhub_with_registry(served: &RegistryProcess, registry: &str, args: &[&str]) -> Output {
    let engines = engines().await;
    let own = served.namespace().variables(engines.variable("DATABASE_URL")).unwrap();
    let mut command = Command::new(medhub_local());
    command.arg("product").args(args).envs(engines.variables()).envs(own).env("SCHEMA_REGISTRY_URL", registry);
    command.output().await.unwrap()
}

#[tokio::test]
async fn migrate_registers_the_schema_of_every_event_and_schemas_lists_them() {
    let served = RegistryProcess::start().await;
    let before = run_medhub(&served, &["schemas", "--json"]).await;
    assert!(!before.status.success(), "nothing is registered yet: {}", output_text(&before));

    // The second run finds all schemas but those of one subject.
    let deleted = format!("/subjects/{}", catalog::all_schemas()[0].subject);
    for expected in [StatusCode::NOT_FOUND, StatusCode::OK] {
        assert_eq!(served.api.send_request(Method::DELETE, &deleted, None).await.status(), expected);
        let migrated = run_medhub(&served, &["migrate"]).await;
        assert!(migrated.status.success(), "{}", output_text(&migrated));
    }

    let listed = run_medhub(&served, &["schemas", "--json"]).await;
    assert!(listed.status.success(), "{}", output_text(&listed));
    let rows: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(rows.len(), catalog::all_schemas().len());
    for (row, schema) in rows.iter().zip(catalog::all_schemas()) {
        assert_eq!((row["eventType"].as_str(), row["state"].as_str()), (Some(schema.event_type), Some("registered")));
        let (_, found) = served.api.get(&format!("/subjects/{}/versions", schema.subject)).await;
        assert!(found.as_array().unwrap().contains(&row["subjectVersion"]), "{found} {row}");
    }
    let table = output_text(&run_medhub(&served, &["schemas"]).await);
    assert!(catalog::all_schemas().iter().all(|schema| table.contains(schema.subject)), "{table}");
}

#[tokio::test]
async fn migrate_refuses_a_schema_that_breaks_a_registered_one() {
    let served = RegistryProcess::start().await;
    let schema = &catalog::all_schemas()[0];
    let (namespace, name) = schema.subject.rsplit_once('.').unwrap();
    let planted = json!({ "type": "fixed", "name": name, "namespace": namespace, "size": 1 }).to_string();
    served.api.post(&format!("/subjects/{}/versions", schema.subject), schema_body(&planted)).await;

    let migrated = run_medhub(&served, &["migrate"]).await;

    assert!(!migrated.status.success());
    let message = output_text(&migrated);
    assert!(
        message.contains(schema.event_type) && message.contains("incompatible with an earlier schema"),
        "{message}"
    );
    let listed = output_text(&run_medhub(&served, &["schemas"]).await);
    assert!(listed.contains("BREAKING"), "{listed}");
}

#[tokio::test]
async fn doctor_reports_whether_the_registry_answers_without_its_password() {
    let served = RegistryProcess::start().await;
    let output = run_medhub(&served, &["doctor", "--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let registry = |report: &Value| {
        report["engines"].as_array().unwrap().iter().find(|finding| finding["engine"] == "registry").unwrap().clone()
    };
    assert_eq!(registry(&report)["answers"], true, "{report}");

    let unreachable = "http://me:s3cr3t@127.0.0.1:9";
    for command in [&["doctor", "--json"][..], &["schemas"], &["config"]] {
        let text = output_text(&run_medhub_with_registry(&served, unreachable, command).await);
        assert!(!text.contains("s3cr3t") && text.contains("127.0.0.1:9"), "{command:?}: {text}");
    }
}
