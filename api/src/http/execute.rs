//! Takes one GraphQL document over HTTP.

use async_graphql::{Request, Response as Answer};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::Edge;
use crate::{
    graphql::{refused, timed_out},
    identity::Identity,
};

/// Runs the document in the body: a JSON object with `query`, and perhaps `variables` and `operationName`.
///
/// The content type has to be JSON: a browser then asks for permission before it sends a request for another site.
/// There are no batches, which would multiply every limit.
pub(super) async fn document(
    State(edge): State<Edge>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if !is_json(&headers) {
        let answer = refused("the content type is not application/json");
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, Json(answer)).into_response();
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return (rejection.status(), Json(refused(rejection.body_text()))).into_response(),
    };
    let Some(graphql) = &edge.graphql else { return StatusCode::NOT_FOUND.into_response() };
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let answer = refused(format!("the body is not a GraphQL request in JSON: {error}"));
            return (StatusCode::BAD_REQUEST, Json(answer)).into_response();
        }
    };
    match tokio::time::timeout(edge.timeout, graphql.execute(request, &identity)).await {
        Ok(answer) => Json::<Answer>(answer).into_response(),
        Err(_elapsed) => (StatusCode::SERVICE_UNAVAILABLE, Json(timed_out())).into_response(),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
