//! The playground's scripts and styles, served from a local folder only.

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::HttpState;

/// All files that are served, with their media types. Other paths are refused, so that none can leave the folder.
pub(super) const ASSET_FILES: [(&str, &str); 4] = [
    ("graphiql.min.css", "text/css; charset=utf-8"),
    ("graphiql.min.js", "text/javascript; charset=utf-8"),
    ("react.production.min.js", "text/javascript; charset=utf-8"),
    ("react-dom.production.min.js", "text/javascript; charset=utf-8"),
];

/// Serves one of [`ASSET_FILES`].
pub(super) async fn serve_asset(State(state): State<HttpState>, Path(name): Path<String>) -> Response {
    let known = ASSET_FILES.iter().find(|(file, _)| *file == name);
    let (Some((file, kind)), Some(dir)) = (known, &state.assets_dir) else {
        return (StatusCode::NOT_FOUND, "no such file\n").into_response();
    };
    match tokio::fs::read(dir.join(file)).await {
        Ok(content) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
                (header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, content).into_response()
        }
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, asset.file = file, "cannot read playground file");
            (StatusCode::NOT_FOUND, "this file is not in the folder of http.assets_dir\n").into_response()
        }
    }
}
