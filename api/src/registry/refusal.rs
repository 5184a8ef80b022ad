//! Refusals as Confluent's clients know them: a code of five digits, and a sentence.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eventstore::registry::{InvalidSchema, InvalidSubject, InvalidVersion, RegistryError, UnknownLevel};
use serde::Serialize;

use super::answer::Answer;

/// A wish that is not met.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    body: Body,
}

#[derive(Debug, Serialize)]
struct Body {
    error_code: u32,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error_code: u32, message: impl Into<String>) -> Self {
        Self { status, body: Body { error_code, message: message.into() } }
    }

    /// Something in the request that can never be met.
    pub(super) fn unprocessable(error_code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error_code, message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Answer(self.body)).into_response()
    }
}

impl From<RegistryError> for Refusal {
    fn from(error: RegistryError) -> Self {
        let code = match &error {
            RegistryError::SubjectNotFound(_) => 40401,
            RegistryError::VersionNotFound(_) => 40402,
            RegistryError::SchemaNotFound | RegistryError::IdNotFound(_) => 40403,
            RegistryError::SubjectDeleted(_) => 40404,
            RegistryError::SubjectNotDeleted(_) => 40405,
            RegistryError::VersionDeleted(..) => 40406,
            RegistryError::VersionNotDeleted(..) => 40407,
            RegistryError::LevelNotSet(_) => 40408,
            RegistryError::Incompatible { subject, .. } => {
                tracing::warn!(registry.subject = %subject, "{error}");
                return Self::new(StatusCode::CONFLICT, 409, error.to_string());
            }
            RegistryError::Stored { .. } | RegistryError::Postgres { .. } => {
                // What the database says may name what is inside; it is for the log.
                tracing::error!(error = &error as &dyn std::error::Error, "the schema registry's storage failed");
                let message = "Error in the backend data store";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, 50001, message);
            }
        };
        Self::new(StatusCode::NOT_FOUND, code, error.to_string())
    }
}

impl From<InvalidSchema> for Refusal {
    fn from(error: InvalidSchema) -> Self {
        Self::unprocessable(42201, error.to_string())
    }
}

impl From<InvalidVersion> for Refusal {
    fn from(error: InvalidVersion) -> Self {
        Self::unprocessable(42202, error.to_string())
    }
}

impl From<UnknownLevel> for Refusal {
    fn from(error: UnknownLevel) -> Self {
        Self::unprocessable(42203, error.to_string())
    }
}

impl From<InvalidSubject> for Refusal {
    fn from(error: InvalidSubject) -> Self {
        Self::unprocessable(42208, error.to_string())
    }
}
