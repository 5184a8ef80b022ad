//! `/config`: reads and sets compatibility levels.

use axum::{Extension, extract::State};
use eventstore::registry::{CompatibilityLevel, SchemaStore};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    RegistryErrorResponse,
    extractors::{RegistryQuery, SubjectPath},
    registry_access::RegistryRight,
    registry_json::RegistryJson,
    request_body::RegistryBody,
};

/// The body of a request that sets a level.
#[derive(Deserialize)]
pub(super) struct CompatibilityLevelRequest {
    compatibility: Option<String>,
}

impl CompatibilityLevelRequest {
    fn parse_level(&self) -> Result<CompatibilityLevel, RegistryErrorResponse> {
        Ok(self.compatibility.as_deref().unwrap_or_default().parse()?)
    }
}

fn level_response(level: CompatibilityLevel) -> RegistryJson<Value> {
    RegistryJson(json!({ "compatibilityLevel": level.name() }))
}

/// Confluent names the level `compatibility` in requests and their responses, and `compatibilityLevel` in reads.
fn updated_level_response(level: CompatibilityLevel) -> RegistryJson<Value> {
    RegistryJson(json!({ "compatibility": level.name() }))
}

pub(super) async fn get_global_level(
    State(store): State<SchemaStore>,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    Ok(level_response(store.global_level().await?))
}

pub(super) async fn set_global_level(
    State(store): State<SchemaStore>,
    Extension(right): Extension<RegistryRight>,
    RegistryBody(request): RegistryBody<CompatibilityLevelRequest>,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    let level = request.parse_level()?;
    if right.require_administer().is_err() && level == store.global_level().await? {
        return Ok(updated_level_response(level));
    }
    right.require_administer()?;
    store.set_level(None, level).await?;
    Ok(updated_level_response(level))
}

pub(super) async fn clear_global_level(
    State(store): State<SchemaStore>,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    Ok(level_response(store.clear_level(None).await?))
}

pub(super) async fn get_subject_level(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    let level = if options.default_to_global {
        store.effective_level(&subject).await?
    } else {
        store.subject_level(&subject).await?
    };
    Ok(level_response(level))
}

pub(super) async fn set_subject_level(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
    Extension(right): Extension<RegistryRight>,
    RegistryBody(request): RegistryBody<CompatibilityLevelRequest>,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    let level = request.parse_level()?;
    if right.require_administer().is_err() && level == store.effective_level(&subject).await? {
        return Ok(updated_level_response(level));
    }
    right.require_administer()?;
    store.set_level(Some(&subject), level).await?;
    Ok(updated_level_response(level))
}

pub(super) async fn clear_subject_level(
    State(store): State<SchemaStore>,
    SubjectPath(subject): SubjectPath,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    Ok(level_response(store.clear_level(Some(&subject)).await?))
}
