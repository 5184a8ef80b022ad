//! Media type of GraphQL responses: the specification's, or plain JSON for clients that do not accept it ("GraphQL over
//! HTTP", section 6).

use async_graphql::Response as GraphQlResponse;
use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::graphql::{is_request_error, is_unknown_hash};

/// A media type of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseMediaType {
    /// `application/graphql-response+json`: the status reports whether the document was executed.
    GraphqlResponse,
    /// `application/json`: every well-formed request is answered with 200.
    Json,
}

/// The media types that a client accepts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AcceptedMediaTypes {
    /// The preferred one of the two types.
    pub(super) response: ResponseMediaType,
    /// Whether JSON is named, rather than only covered by a wildcard.
    pub(super) names_json: bool,
    /// Whether HTML is named, as browsers do.
    pub(super) names_html: bool,
}

impl AcceptedMediaTypes {
    /// Parses the header `Accept` (RFC 9110, section 12.5.1).
    pub(super) fn from_headers(headers: &HeaderMap) -> Self {
        let (mut graphql, mut json, mut html) = (None, None, None);
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let Some(kind) = parts.next() else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            if quality <= 0.0 {
                continue;
            }
            match kind.to_ascii_lowercase().as_str() {
                "application/graphql-response+json" => graphql = graphql.max(Some(quality_rank(quality))),
                "application/json" => json = json.max(Some(quality_rank(quality))),
                "text/html" | "application/xhtml+xml" => html = html.max(Some(quality_rank(quality))),
                _ => {}
            }
        }
        let response = if graphql.is_some() && graphql >= json {
            ResponseMediaType::GraphqlResponse
        } else {
            ResponseMediaType::Json
        };
        Self { response, names_json: graphql.is_some() || json.is_some(), names_html: html.is_some() }
    }
}

/// Converts a quality between 0 and 1 with three digits to an ordered number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 1000")]
fn quality_rank(quality: f32) -> u32 {
    (quality.clamp(0.0, 1.0) * 1000.0) as u32
}

/// Body of a request error: a document that was not executed has no `data`.
#[derive(Serialize)]
struct RequestErrorBody<'a> {
    errors: &'a [async_graphql::ServerError],
}

impl ResponseMediaType {
    /// Responds with the result of a document.
    pub(super) fn respond(self, result: GraphQlResponse) -> Response {
        let is_refused = is_request_error(&result);
        // Clients that send hashes expect status 200 for an unknown hash: with an error status they ignore the body.
        let status = match self {
            Self::GraphqlResponse if is_refused && !is_unknown_hash(&result) => StatusCode::BAD_REQUEST,
            Self::GraphqlResponse | Self::Json => StatusCode::OK,
        };
        self.respond_with_status(status, result)
    }

    /// Responds with a given status, for requests that were not executed.
    pub(super) fn respond_with_status(self, status: StatusCode, result: GraphQlResponse) -> Response {
        let mut response = if is_request_error(&result) {
            Json(RequestErrorBody { errors: &result.errors }).into_response()
        } else {
            Json(result).into_response()
        };
        *response.status_mut() = status;
        if self == Self::GraphqlResponse {
            let kind = HeaderValue::from_static("application/graphql-response+json; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_media_type_is_used() {
        for (accept, response, names_json, names_html) in [
            ("", ResponseMediaType::Json, false, false),
            ("*/*", ResponseMediaType::Json, false, false),
            ("application/json", ResponseMediaType::Json, true, false),
            (
                "application/graphql-response+json, application/json;q=0.9",
                ResponseMediaType::GraphqlResponse,
                true,
                false,
            ),
            (
                "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, \
              multipart/mixed",
                ResponseMediaType::GraphqlResponse,
                true,
                false,
            ),
            ("application/json, application/graphql-response+json; q=0.5", ResponseMediaType::Json, true, false),
            ("application/graphql-response+json; charset=utf-8; q=0", ResponseMediaType::Json, false, false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", ResponseMediaType::Json, false, true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(
                AcceptedMediaTypes::from_headers(&headers),
                AcceptedMediaTypes { response, names_json, names_html },
                "{accept}"
            );
        }
    }
}
