//! GraphQL over HTTP (draft of "GraphQL over HTTP", 2025): any document by POST, queries by GET.

use async_graphql::{Request as GraphQlRequest, parser::types::OperationType};
use axum::{
    body::Bytes,
    extract::{FromRequest, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::{
    HttpState, admission,
    graphql_request::{self, GraphQlRequestError, UrlParameters},
    playground,
    response_media_type::{AcceptedMediaTypes, ResponseMediaType},
};
use crate::{
    auth::Principal,
    graphql::{PreparedDocument, invalid_query_response, queue_full_response, timeout_response},
    http::request_gate::RequestMeter,
};

/// Runs the document in the body: a JSON object with `query`, and optionally `variables`, `operationName` and
/// `extensions`.
///
/// The content type must be JSON: browsers then send a preflight before a request from another site. Batches are not
/// supported, as they would multiply every limit.
pub(super) async fn execute_post(State(state): State<HttpState>, mut request: Request) -> Response {
    // Taken out of the request: extractors would copy them, and all headers.
    let extensions = request.extensions_mut();
    let (Some(principal), Some(meter)) = (extensions.remove::<Principal>(), extensions.remove::<RequestMeter>()) else {
        tracing::error!("a request reached the handler without admission");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let media_type = AcceptedMediaTypes::from_headers(request.headers()).response;
    if !is_utf8_json(request.headers()) {
        let error_response = invalid_query_response("the content type is not application/json in UTF-8");
        return media_type.respond_with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE, error_response);
    }
    let body = match Bytes::from_request(request, &()).await {
        Ok(body) => body,
        Err(rejection) => {
            return media_type.respond_with_status(rejection.status(), invalid_query_response(rejection.body_text()));
        }
    };
    match prepare_document(&state, graphql_request::parse_body(&body), media_type) {
        Ok(document) => run_document(&state, document, &principal, &meter, media_type).await,
        Err(error_response) => *error_response,
    }
}

/// Runs the query in the URL. Without one, browsers get the playground.
pub(super) async fn execute_get(
    state: &HttpState,
    principal: &Principal,
    meter: &RequestMeter,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response {
    let accepted = AcceptedMediaTypes::from_headers(headers);
    let media_type = accepted.response;
    let parameters = Query::<UrlParameters>::try_from_uri(uri);
    let names_document = parameters.as_ref().map_or(true, |Query(parameters)| parameters.names_document());
    if !accepted.names_json && (accepted.names_html || !names_document) {
        return playground::playground_page(state);
    }
    let parameters = match parameters {
        Ok(Query(parameters)) => parameters,
        Err(rejection) => {
            return media_type
                .respond_with_status(StatusCode::BAD_REQUEST, invalid_query_response(rejection.body_text()));
        }
    };
    let document = match prepare_document(state, parameters.into_request(), media_type) {
        Ok(document) => document,
        Err(error_response) => return *error_response,
    };
    if document.kind() != OperationType::Query {
        let error_response = invalid_query_response(
            "GET supports queries only: send mutations by POST, and subscriptions over a WebSocket",
        );
        let mut response = media_type.respond_with_status(StatusCode::METHOD_NOT_ALLOWED, error_response);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let mut response = run_document(state, document, principal, meter, media_type).await;
    // The response depends on the caller and on the time.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn prepare_document(
    state: &HttpState,
    request: Result<GraphQlRequest, GraphQlRequestError>,
    media_type: ResponseMediaType,
) -> Result<PreparedDocument, Box<Response>> {
    let Some(graphql) = &state.graphql else { return Err(Box::new(StatusCode::NOT_FOUND.into_response())) };
    let request = request.map_err(|error| {
        Box::new(media_type.respond_with_status(StatusCode::BAD_REQUEST, invalid_query_response(error.to_string())))
    })?;
    graphql.prepare(request).map_err(|error_response| Box::new(media_type.respond(*error_response)))
}

async fn run_document(
    state: &HttpState,
    document: PreparedDocument,
    principal: &Principal,
    meter: &RequestMeter,
    media_type: ResponseMediaType,
) -> Response {
    let (Some(graphql), Some(gate)) = (&state.graphql, &state.gate) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(error) = meter.charge_query_cost(document.cost().complexity).await {
        return admission::admission_error_response(&error, true);
    }
    if document.kind() == OperationType::Subscription {
        return media_type
            .respond(invalid_query_response("subscriptions are served over a WebSocket, by graphql-transport-ws"));
    }
    let _permit = match gate.begin_work(&principal.rate_limit_subject, document.priority()).await {
        Ok(permit) => permit,
        Err(full) => {
            let mut response =
                media_type.respond_with_status(StatusCode::SERVICE_UNAVAILABLE, queue_full_response(full));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(full.retry_after_s));
            return response;
        }
    };
    match tokio::time::timeout(state.timeout, graphql.run(document, principal)).await {
        Ok(response) => media_type.respond(response),
        Err(_elapsed) => media_type.respond_with_status(StatusCode::SERVICE_UNAVAILABLE, timeout_response()),
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
