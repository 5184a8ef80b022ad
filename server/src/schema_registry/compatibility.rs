//! `/compatibility`: checks whether a schema could be registered, without registering it.

use axum::extract::State;
use eventstore::registry::{CompatibilityViolation, SchemaStore};
use serde::Serialize;

use super::{
    RegistryErrorResponse,
    extractors::{RegistryQuery, SubjectPath, VersionPath},
    registry_json::RegistryJson,
    request_body::SubmittedSchema,
};

#[derive(Serialize)]
pub(super) struct CompatibilityResponse {
    is_compatible: bool,
    /// Present only if the query has `verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
}

impl CompatibilityResponse {
    fn from_violations(violations: &[CompatibilityViolation], options: &RegistryQuery) -> RegistryJson<Self> {
        let messages = || violations.iter().map(ToString::to_string).collect();
        RegistryJson(Self { is_compatible: violations.is_empty(), messages: options.verbose.then(messages) })
    }
}

/// Checks against all versions that the compatibility level covers.
pub(super) async fn check_all_versions(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    options: RegistryQuery,
    SubmittedSchema(schema): SubmittedSchema,
) -> Result<RegistryJson<CompatibilityResponse>, RegistryErrorResponse> {
    Ok(CompatibilityResponse::from_violations(&store.find_violations(&subject, &schema, None).await?, &options))
}

/// Checks against one version.
pub(super) async fn check_version(
    State(store): State<SchemaStore>,
    VersionPath(subject, version): VersionPath,
    options: RegistryQuery,
    SubmittedSchema(schema): SubmittedSchema,
) -> Result<RegistryJson<CompatibilityResponse>, RegistryErrorResponse> {
    Ok(CompatibilityResponse::from_violations(
        &store.find_violations(&subject, &schema, Some(version)).await?,
        &options,
    ))
}
