//! JSON responses in Confluent's content type.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

/// A value to respond with as JSON.
pub(super) struct RegistryJson<T>(pub(super) T);

impl<T: Serialize> IntoResponse for RegistryJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(text) => RawRegistryJson(text).into_response(),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "serializing a response failed");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}

/// Text that is already JSON.
pub(super) struct RawRegistryJson(pub(super) String);

impl IntoResponse for RawRegistryJson {
    fn into_response(self) -> Response {
        let headers =
            [(header::CONTENT_TYPE, CONTENT_TYPE), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        (headers, self.0).into_response()
    }
}
