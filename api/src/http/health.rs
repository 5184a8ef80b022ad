//! Whether the process is alive, and whether it can do its work.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::HttpState;

/// The process answers.
pub(super) async fn report_liveness() -> impl IntoResponse {
    Json(serde_json::json!({ "alive": true }))
}

/// 200 when every store that this process needs answers and everything it runs is running, else 503; the body names
/// each of them.
pub(super) async fn report_readiness(State(edge): State<HttpState>) -> Response {
    let report = edge.readiness.check_readiness().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}
