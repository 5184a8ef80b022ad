//! Whether the process is alive, and whether it can do its work.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::HttpState;

/// The process answers requests.
pub(super) async fn report_liveness() -> impl IntoResponse {
    Json(serde_json::json!({ "alive": true }))
}

/// 200 when every store that this process needs answers and all its parts are running, else 503; the body lists each of
/// them.
pub(super) async fn report_readiness(State(state): State<HttpState>) -> Response {
    let report = state.readiness.check_readiness().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}
