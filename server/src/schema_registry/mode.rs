//! `/mode`: this registry is always in mode `READWRITE`: it accepts new versions of every subject and assigns their
//! ids.

use axum::{extract::Path, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    RegistryErrorResponse,
    extractors::{RegistryQuery, SubjectPath},
    registry_json::RegistryJson,
    request_body::RegistryBody,
};

const SUPPORTED_MODE: &str = "READWRITE";

/// The modes of Confluent's registry.
const KNOWN_MODES: [&str; 5] = [SUPPORTED_MODE, "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD"];

/// The body of a request that sets a mode.
#[derive(Deserialize)]
pub(super) struct RegistryModeRequest {
    mode: Option<String>,
}

impl RegistryModeRequest {
    /// Accepts the supported mode and refuses all others.
    fn check_mode(&self) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
        let requested = self.mode.as_deref().unwrap_or_default();
        if requested.eq_ignore_ascii_case(SUPPORTED_MODE) {
            return Ok(mode_response());
        }
        if KNOWN_MODES.iter().any(|known| known.eq_ignore_ascii_case(requested)) {
            let message = format!(
                "{} is not supported: this registry is always in mode {SUPPORTED_MODE}",
                requested.to_uppercase()
            );
            return Err(RegistryErrorResponse::unprocessable(42205, message));
        }
        let message = format!("Invalid mode. Valid values are {}", KNOWN_MODES.join(", "));
        Err(RegistryErrorResponse::unprocessable(42204, message))
    }
}

fn mode_response() -> RegistryJson<Value> {
    RegistryJson(json!({ "mode": SUPPORTED_MODE }))
}

pub(super) async fn get_global_mode() -> RegistryJson<Value> {
    mode_response()
}

pub(super) async fn set_global_mode(
    RegistryBody(request): RegistryBody<RegistryModeRequest>,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    request.check_mode()
}

pub(super) async fn get_subject_mode(
    SubjectPath(subject): SubjectPath,
    options: RegistryQuery,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    if options.default_to_global {
        return Ok(mode_response());
    }
    Err(mode_not_configured(subject.as_str()))
}

pub(super) async fn set_subject_mode(
    _: SubjectPath,
    RegistryBody(request): RegistryBody<RegistryModeRequest>,
) -> Result<RegistryJson<Value>, RegistryErrorResponse> {
    request.check_mode()
}

pub(super) async fn clear_subject_mode(Path(subject): Path<String>) -> RegistryErrorResponse {
    mode_not_configured(&subject)
}

fn mode_not_configured(subject: &str) -> RegistryErrorResponse {
    let prefix: String = subject.chars().take(64).collect();
    let message = format!("Subject '{}' does not have subject-level mode configured", prefix.escape_debug());
    RegistryErrorResponse::new(StatusCode::NOT_FOUND, 40409, message)
}
