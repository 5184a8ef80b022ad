//! Takes one GraphQL document over HTTP ("GraphQL over HTTP", draft of 2025): by POST, and by GET where it only reads.

use async_graphql::{Request, parser::types::OperationType};
use axum::{
    Extension,
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    HttpState,
    graphql_request::{self, GraphQlRequestError, UrlParameters},
    playground,
    request_gate::{self, RequestMeter},
    response_media_type::{AcceptedMediaTypes, ResponseMediaType},
};
use crate::{
    auth::Principal,
    graphql::{PreparedDocument, invalid_query_response, timeout_response},
};

/// Runs the document in the body: a JSON object with `query`, and perhaps `variables`, `operationName` and `extensions`.
///
/// The content type has to be JSON: a browser then asks for permission before it sends a request for another site.
/// There are no batches, which would multiply every limit.
pub(super) async fn execute_post(
    State(edge): State<HttpState>,
    Extension(identity): Extension<Principal>,
    Extension(meter): Extension<RequestMeter>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = AcceptedMediaTypes::from_headers(&headers).response;
    if !is_utf8_json(&headers) {
        let refusal = invalid_query_response("the content type is not application/json in UTF-8");
        return answer.respond_with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => {
            return answer.respond_with_status(rejection.status(), invalid_query_response(rejection.body_text()));
        }
    };
    match prepare_document(&edge, graphql_request::parse_body(&body), answer) {
        Ok(document) => run_document(&edge, document, &identity, &meter, answer).await,
        Err(refusal) => *refusal,
    }
}

/// Runs the document in the URL, which may read and not change anything. Without one, browsers get the page to write it.
pub(super) async fn execute_get(
    edge: &HttpState,
    identity: &Principal,
    meter: &RequestMeter,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response {
    let accepted = AcceptedMediaTypes::from_headers(headers);
    let answer = accepted.response;
    let parameters = Query::<UrlParameters>::try_from_uri(uri);
    let names_document = parameters.as_ref().map_or(true, |Query(parameters)| parameters.names_document());
    if !accepted.names_json && (accepted.names_html || !names_document) {
        return playground::playground_page(edge);
    }
    let parameters = match parameters {
        Ok(Query(parameters)) => parameters,
        Err(rejection) => {
            return answer.respond_with_status(StatusCode::BAD_REQUEST, invalid_query_response(rejection.body_text()));
        }
    };
    let document = match prepare_document(edge, parameters.into_request(), answer) {
        Ok(document) => document,
        Err(refusal) => return *refusal,
    };
    if document.kind() != OperationType::Query {
        let refusal =
            invalid_query_response("GET only reads: send mutations by POST, and subscriptions over a WebSocket");
        let mut response = answer.respond_with_status(StatusCode::METHOD_NOT_ALLOWED, refusal);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let mut response = run_document(edge, document, identity, meter, answer).await;
    // What is answered depends on who asks, and on when.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn prepare_document(
    edge: &HttpState,
    request: Result<Request, GraphQlRequestError>,
    answer: ResponseMediaType,
) -> Result<PreparedDocument, Box<Response>> {
    let Some(graphql) = &edge.graphql else { return Err(Box::new(StatusCode::NOT_FOUND.into_response())) };
    let request = request.map_err(|error| {
        Box::new(answer.respond_with_status(StatusCode::BAD_REQUEST, invalid_query_response(error.to_string())))
    })?;
    graphql.prepare(request).map_err(|refusal| Box::new(answer.respond(*refusal)))
}

async fn run_document(
    edge: &HttpState,
    document: PreparedDocument,
    identity: &Principal,
    meter: &RequestMeter,
    answer: ResponseMediaType,
) -> Response {
    let Some(graphql) = &edge.graphql else { return StatusCode::NOT_FOUND.into_response() };
    if let Err(refusal) = meter.charge_document(document.cost().complexity).await {
        return request_gate::admission_error_response(&refusal, true);
    }
    if document.kind() == OperationType::Subscription {
        return answer
            .respond(invalid_query_response("subscriptions are answered over a WebSocket, by graphql-transport-ws"));
    }
    match tokio::time::timeout(edge.timeout, graphql.run(document, identity)).await {
        Ok(answered) => answer.respond(answered),
        Err(_elapsed) => answer.respond_with_status(StatusCode::SERVICE_UNAVAILABLE, timeout_response()),
    }
}

fn is_utf8_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let mut charsets =
        parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    is_json && charsets.all(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
}
