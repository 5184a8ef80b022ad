//! Error responses in the format of Confluent's registry: an error code and a message.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eventstore::registry::{
    InvalidSchema, InvalidSchemaSubject, InvalidVersionSelector, SchemaStoreError, UnknownCompatibilityLevel,
};
use serde::Serialize;

use super::registry_json::RegistryJson;

/// The response to a request that fails.
#[derive(Debug)]
pub(super) struct RegistryErrorResponse {
    status: StatusCode,
    body: RegistryErrorBody,
}

#[derive(Debug, Serialize)]
struct RegistryErrorBody {
    error_code: u32,
    message: String,
}

impl RegistryErrorResponse {
    pub(super) fn new(status: StatusCode, error_code: u32, message: impl Into<String>) -> Self {
        Self { status, body: RegistryErrorBody { error_code, message: message.into() } }
    }

    /// A request that is well-formed but can never succeed: 422.
    pub(super) fn unprocessable(error_code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error_code, message)
    }
}

impl IntoResponse for RegistryErrorResponse {
    fn into_response(self) -> Response {
        (self.status, RegistryJson(self.body)).into_response()
    }
}

impl From<SchemaStoreError> for RegistryErrorResponse {
    fn from(error: SchemaStoreError) -> Self {
        let code = match &error {
            SchemaStoreError::SubjectNotFound(_) => 40401,
            SchemaStoreError::VersionNotFound(_) => 40402,
            SchemaStoreError::SchemaNotFound | SchemaStoreError::IdNotFound(_) => 40403,
            SchemaStoreError::SubjectDeleted(_) => 40404,
            SchemaStoreError::SubjectNotDeleted(_) => 40405,
            SchemaStoreError::VersionDeleted(..) => 40406,
            SchemaStoreError::VersionNotDeleted(..) => 40407,
            SchemaStoreError::LevelNotSet(_) => 40408,
            SchemaStoreError::Incompatible { subject, .. } => {
                tracing::warn!(registry.subject = %subject, "{error}");
                return Self::new(StatusCode::CONFLICT, 409, error.to_string());
            }
            SchemaStoreError::CorruptRecord { .. } | SchemaStoreError::Postgres { .. } => {
                // The error of the database may disclose internals, so it is only logged.
                tracing::error!(error = &error as &dyn std::error::Error, "schema registry storage failed");
                let message = "Error in the backend data store";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, 50001, message);
            }
        };
        Self::new(StatusCode::NOT_FOUND, code, error.to_string())
    }
}

impl From<InvalidSchema> for RegistryErrorResponse {
    fn from(error: InvalidSchema) -> Self {
        Self::unprocessable(42201, error.to_string())
    }
}

impl From<InvalidVersionSelector> for RegistryErrorResponse {
    fn from(error: InvalidVersionSelector) -> Self {
        Self::unprocessable(42202, error.to_string())
    }
}

impl From<UnknownCompatibilityLevel> for RegistryErrorResponse {
    fn from(error: UnknownCompatibilityLevel) -> Self {
        Self::unprocessable(42203, error.to_string())
    }
}

impl From<InvalidSchemaSubject> for RegistryErrorResponse {
    fn from(error: InvalidSchemaSubject) -> Self {
        Self::unprocessable(42208, error.to_string())
    }
}
