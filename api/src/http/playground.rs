//! The page on which GraphQL can be tried out by hand.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{HttpState, assets::ASSET_FILES, html_response};

/// GraphiQL, or how to get it where its scripts are not here.
pub(super) fn playground_page(edge: &HttpState) -> Response {
    let complete = match &edge.assets_dir {
        None => false,
        Some(dir) => ASSET_FILES.iter().all(|(file, _)| dir.join(file).is_file()),
    };
    let body = if complete { include_str!("playground/page.html") } else { include_str!("playground/missing.html") };
    html_response(StatusCode::OK, body.to_owned())
}

/// What starts GraphiQL; apart from the page, so that the page needs no inline script.
pub(super) async fn serve_start_script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"))];
    (headers, include_str!("playground/start.js"))
}
