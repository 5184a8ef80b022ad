//! `/subjects`: registers, looks up and deletes versions.

use axum::extract::State;
use eventstore::registry::{RegisteredVersion, SchemaStore};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    RegistryErrorResponse,
    extractors::{RegistryQuery, SubjectPath, VersionPath},
    registry_json::{RawRegistryJson, RegistryJson},
    request_body::SubmittedSchema,
};

/// A version of a subject. The schema type is omitted, as Confluent's registry does for Avro.
#[derive(Serialize)]
pub(super) struct SubjectVersion {
    subject: String,
    version: i32,
    id: i32,
    schema: String,
}

impl From<RegisteredVersion> for SubjectVersion {
    fn from(registered: RegisteredVersion) -> Self {
        let RegisteredVersion { subject, version, id, schema } = registered;
        Self { subject, version, id, schema }
    }
}

pub(super) async fn list_subjects(
    State(store): State<SchemaStore>,
    options: RegistryQuery,
) -> Result<RegistryJson<Vec<String>>, RegistryErrorResponse> {
    Ok(RegistryJson(store.list_subjects(options.name_prefix(), options.deletion_filter(), options.page()).await?))
}

pub(super) async fn list_versions(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Vec<i32>>, RegistryErrorResponse> {
    Ok(RegistryJson(store.version_numbers(&subject, options.deletion_filter()).await?))
}

pub(super) async fn get_version(
    State(store): State<SchemaStore>,
    VersionPath(subject, version): VersionPath,
    options: RegistryQuery,
) -> Result<RegistryJson<SubjectVersion>, RegistryErrorResponse> {
    Ok(RegistryJson(store.find_version(&subject, version, options.deletion_filter()).await?.into()))
}

pub(super) async fn get_version_schema(
    State(store): State<SchemaStore>,
    VersionPath(subject, version): VersionPath,
    options: RegistryQuery,
) -> Result<RawRegistryJson, RegistryErrorResponse> {
    Ok(RawRegistryJson(store.find_version(&subject, version, options.deletion_filter()).await?.schema))
}

/// Returns an empty list: this registry has no references.
pub(super) async fn list_references(
    State(store): State<SchemaStore>,
    VersionPath(subject, version): VersionPath,
    options: RegistryQuery,
) -> Result<RegistryJson<[i32; 0]>, RegistryErrorResponse> {
    store.find_version(&subject, version, options.deletion_filter()).await?;
    Ok(RegistryJson([]))
}

pub(super) async fn register_schema(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    SubmittedSchema(schema): SubmittedSchema,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    Ok(RegistryJson(json!({ "id": store.register(&subject, &schema).await?.id })))
}

pub(super) async fn lookup_schema(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    options: RegistryQuery,
    SubmittedSchema(schema): SubmittedSchema,
) -> Result<RegistryJson<SubjectVersion>, RegistryErrorResponse> {
    Ok(RegistryJson(store.find_schema_version(&subject, &schema, options.deletion_filter()).await?.into()))
}

pub(super) async fn delete_subject(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Vec<i32>>, RegistryErrorResponse> {
    Ok(RegistryJson(store.delete_subject(&subject, options.permanent).await?))
}

pub(super) async fn delete_version(
    State(store): State<SchemaStore>,
    VersionPath(subject, version): VersionPath,
    options: RegistryQuery,
) -> Result<RegistryJson<i32>, RegistryErrorResponse> {
    Ok(RegistryJson(store.delete_version(&subject, version, options.permanent).await?))
}
