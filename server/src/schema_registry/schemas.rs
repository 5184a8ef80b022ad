//! `/schemas`: looks up schemas by id, for consumers; also metadata of the registry.

use axum::extract::State;
use eventstore::registry::SchemaStore;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    RegistryErrorResponse,
    extractors::{RegistryQuery, SchemaIdPath},
    registry_json::{RawRegistryJson, RegistryJson},
    subjects::SubjectVersion,
};

#[derive(Serialize)]
pub(super) struct SchemaUsage {
    subject: String,
    version: i32,
}

/// Returns an empty object. Clients request it to check that the registry answers.
pub(super) async fn get_root() -> RegistryJson<Value> {
    RegistryJson(json!({}))
}

/// Lists all registered schemas by subject and version.
pub(super) async fn list_schemas(
    State(store): State<SchemaStore>,
    options: RegistryQuery,
) -> Result<RegistryJson<Vec<SubjectVersion>>, RegistryErrorResponse> {
    let found = store
        .list_versions(options.name_prefix(), options.deletion_filter(), options.latest_only, options.page())
        .await?;
    Ok(RegistryJson(found.into_iter().map(Into::into).collect()))
}

/// Lists the only context, the default one.
pub(super) async fn list_contexts() -> RegistryJson<[&'static str; 1]> {
    RegistryJson(["."])
}

/// Identifies this registry.
pub(super) async fn get_cluster_id() -> RegistryJson<Value> {
    RegistryJson(
        json!({ "id": "medhub", "scope": { "path": [], "clusters": { "schema-registry-cluster": "medhub" } } }),
    )
}

/// Returns the version of this program.
pub(super) async fn get_server_version() -> RegistryJson<Value> {
    RegistryJson(json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "" }))
}

pub(super) async fn list_schema_types() -> RegistryJson<[&'static str; 1]> {
    RegistryJson(["AVRO"])
}

pub(super) async fn get_schema(
    State(store): State<SchemaStore>,
    SchemaIdPath(id): SchemaIdPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    let mut body = json!({ "schema": store.find_schema(id).await? });
    if options.fetch_max_id {
        body["maxId"] = store.last_id().await?.into();
    }
    Ok(RegistryJson(body))
}

pub(super) async fn get_schema_text(
    State(store): State<SchemaStore>,
    SchemaIdPath(id): SchemaIdPath,
) -> Result<RawRegistryJson, RegistryErrorResponse> {
    Ok(RawRegistryJson(store.find_schema(id).await?))
}

pub(super) async fn list_schema_subjects(
    State(store): State<SchemaStore>,
    SchemaIdPath(id): SchemaIdPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Vec<String>>, RegistryErrorResponse> {
    let mut subjects: Vec<_> = store
        .find_schema_usages(id, options.deletion_filter())
        .await?
        .into_iter()
        .map(|(subject, _)| subject)
        .collect();
    // The usages are sorted by subject; a schema registered again after a deletion has several versions.
    subjects.dedup();
    Ok(RegistryJson(subjects))
}

pub(super) async fn list_schema_versions(
    State(store): State<SchemaStore>,
    SchemaIdPath(id): SchemaIdPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Vec<SchemaUsage>>, RegistryErrorResponse> {
    let usages = store.find_schema_usages(id, options.deletion_filter()).await?;
    Ok(RegistryJson(usages.into_iter().map(|(subject, version)| SchemaUsage { subject, version }).collect()))
}
