//! `/health` and `/ready` of the registry, in the format of the other roles.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eventstore::registry::SchemaStore;
use serde_json::json;

use api::app_context::BackingService;

pub(super) async fn get_liveness() -> impl IntoResponse {
    Json(json!({ "alive": true }))
}

/// Returns 200 if the tables answer, otherwise 503.
pub(super) async fn get_readiness(State(store): State<SchemaStore>) -> Response {
    let ready = match store.ping().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "schema registry storage unavailable");
            false
        }
    };
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let report = json!({ "ready": ready, "engines": { BackingService::POSTGRES.name(): ready }, "parts": {} });
    (status, Json(report)).into_response()
}
