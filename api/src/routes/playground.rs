//! The GraphQL playground.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{HttpState, assets::ASSET_FILES, html_response};

/// Serves GraphiQL, or instructions if its scripts are not installed.
pub(super) fn playground_page(state: &HttpState) -> Response {
    let is_installed = match &state.assets_dir {
        None => false,
        Some(dir) => ASSET_FILES.iter().all(|(file, _)| dir.join(file).is_file()),
    };
    let body =
        if is_installed { include_str!("playground/page.html") } else { include_str!("playground/missing.html") };
    html_response(StatusCode::OK, body.to_owned())
}

/// Serves the script that starts GraphiQL; it is separate from the page, so that the page needs no inline script.
pub(super) async fn serve_start_script() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"))];
    (headers, include_str!("playground/start.js"))
}
