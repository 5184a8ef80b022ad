//! `/health` and `/ready` of the registry, in the format of the other roles.

use axum::{
    Extension, Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use eventstore::registry::SchemaStore;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use api::app_context::BackingService;

pub(super) async fn get_liveness() -> impl IntoResponse {
    Json(json!({ "alive": true }))
}

/// Returns 200 if the tables answer and no stop is announced, otherwise 503.
pub(super) async fn get_readiness(
    State(store): State<SchemaStore>,
    Extension(stop_announcement): Extension<CancellationToken>,
) -> Response {
    let answers = match store.ping().await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "schema registry storage unavailable");
            false
        }
    };
    let stopping = stop_announcement.is_cancelled();
    let ready = answers && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let engines = json!({ BackingService::POSTGRES.name(): answers });
    let report = json!({ "ready": ready, "stopping": stopping, "engines": engines, "parts": {} });
    (status, Json(report)).into_response()
}
