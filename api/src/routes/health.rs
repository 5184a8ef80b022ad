//! `/health` and `/ready`: whether the process is alive, and whether it is ready.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::HttpState;

/// Answers 200: the process handles requests.
pub(super) async fn report_liveness() -> impl IntoResponse {
    Json(serde_json::json!({ "alive": true }))
}

/// Answers 200 if every required engine answers and all parts of this process are running, otherwise 503. The body
/// lists the engines and parts.
pub(super) async fn report_readiness(State(state): State<HttpState>) -> Response {
    let report = state.readiness.check_readiness().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}
