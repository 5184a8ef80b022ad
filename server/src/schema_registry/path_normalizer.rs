//! Normalizes paths: clients may append a slash, or join a base URL that ends with one.

use axum::{
    extract::Request,
    http::{Uri, uri::PathAndQuery},
    middleware::Next,
    response::Response,
};

/// Removes empty path segments. A slash in the name of a subject is encoded as `%2F` and stays.
pub(super) async fn normalize_path(mut request: Request, next: Next) -> Response {
    if let Some(uri) = normalized_uri(request.uri()) {
        *request.uri_mut() = uri;
    }
    next.run(request).await
}

/// Returns the normalized URI; `None` if it is normalized already.
fn normalized_uri(uri: &Uri) -> Option<Uri> {
    let path = uri.path();
    if path == "/" || !(path.ends_with('/') || path.contains("//")) {
        return None;
    }
    let segments: Vec<_> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("/{}{query}", segments.join("/"))).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_segments_are_removed() {
        let normalize = |text: &str| normalized_uri(&text.parse().unwrap()).map(|uri| uri.to_string());
        for (path, normalized) in [
            ("/config/", Some("/config")),
            ("//subjects/?deleted=true", Some("/subjects?deleted=true")),
            ("/subjects/a%2Fb/versions/", Some("/subjects/a%2Fb/versions")),
            ("//", Some("/")),
            ("/", None),
            ("/subjects/a%2Fb", None),
        ] {
            assert_eq!(normalize(path).as_deref(), normalized, "{path}");
        }
    }
}
