//! Request bodies: JSON in one of the content types of Confluent's registry, and submitted schemas.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use eventstore::registry::{AvroSchema, SchemaStore};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::RegistryErrorResponse;

/// Accepted content types. Other types are refused, among them the types that a web page may send without a CORS
/// preflight.
const CONTENT_TYPES: [&str; 4] = [
    "application/vnd.schemaregistry.v1+json",
    "application/vnd.schemaregistry+json",
    "application/json",
    "application/octet-stream",
];

/// A JSON body.
pub(super) struct RegistryBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for RegistryBody<T> {
    type Rejection = RegistryErrorResponse;

    async fn from_request(request: Request, state: &S) -> Result<Self, RegistryErrorResponse> {
        check_content_type(request.headers())?;
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            RegistryErrorResponse::new(rejection.status(), rejection.status().as_u16().into(), rejection.body_text())
        })?;
        serde_json::from_slice(&bytes).map(RegistryBody).map_err(|error| {
            RegistryErrorResponse::new(
                StatusCode::BAD_REQUEST,
                400,
                format!("the body is not the expected JSON: {error}"),
            )
        })
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), RegistryErrorResponse> {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let declared = declared.split(';').next().unwrap_or_default().trim();
    if CONTENT_TYPES.iter().any(|known| known.eq_ignore_ascii_case(declared)) {
        return Ok(());
    }
    let message = format!("HTTP 415 Unsupported Media Type: send one of {}", CONTENT_TYPES.join(", "));
    Err(RegistryErrorResponse::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, message))
}

/// A schema that a client registers, checks or looks up.
pub(super) struct SubmittedSchema(pub(super) AvroSchema);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaRequest {
    schema: Option<String>,
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Value>>,
    metadata: Option<Value>,
    rule_set: Option<Value>,
    id: Option<i64>,
    version: Option<i64>,
}

impl FromRequest<SchemaStore> for SubmittedSchema {
    type Rejection = RegistryErrorResponse;

    async fn from_request(request: Request, store: &SchemaStore) -> Result<Self, RegistryErrorResponse> {
        let RegistryBody(submitted) = RegistryBody::<SchemaRequest>::from_request(request, store).await?;
        submitted.reject_unsupported()?;
        Ok(Self(store.parse_schema(submitted.schema.unwrap_or_default()).await?))
    }
}

impl SchemaRequest {
    /// Refuses properties that would otherwise be dropped silently.
    fn reject_unsupported(&self) -> Result<(), RegistryErrorResponse> {
        let kind = self.schema_type.as_deref().unwrap_or("AVRO");
        if !kind.eq_ignore_ascii_case("AVRO") {
            let prefix: String = kind.chars().take(64).collect();
            let message = format!("Invalid schema type {}: this registry supports AVRO only", prefix.escape_debug());
            return Err(RegistryErrorResponse::unprocessable(42201, message));
        }
        if self.references.as_ref().is_some_and(|references| !references.is_empty()) {
            let message =
                "Invalid schema: this registry supports no references; include the referenced types in the schema";
            return Err(RegistryErrorResponse::unprocessable(42201, message));
        }
        if self.metadata.is_some() || self.rule_set.is_some() {
            return Err(RegistryErrorResponse::unprocessable(
                42201,
                "Invalid schema: this registry supports no metadata and no rule sets",
            ));
        }
        // Registering under a given id or version needs the mode IMPORT. Clients send 0 and -1 for none.
        if self.id.is_some_and(|id| id > 0) || self.version.is_some_and(|version| version > 0) {
            return Err(RegistryErrorResponse::unprocessable(
                42205,
                "the registry is not in import mode: it assigns ids and versions itself",
            ));
        }
        Ok(())
    }
}
