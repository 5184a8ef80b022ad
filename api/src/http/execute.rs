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
    Edge,
    answer_type::{AcceptedTypes, AnswerType},
    door::{self, Meter},
    graphql_request::{self, RequestError, UrlParameters},
    playground,
};
use crate::{
    graphql::{PreparedDocument, refused, timed_out},
    identity::Identity,
};

/// Runs the document in the body: a JSON object with `query`, and perhaps `variables`, `operationName` and `extensions`.
///
/// The content type has to be JSON: a browser then asks for permission before it sends a request for another site.
/// There are no batches, which would multiply every limit.
pub(super) async fn document(
    State(edge): State<Edge>,
    Extension(identity): Extension<Identity>,
    Extension(meter): Extension<Meter>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let answer = AcceptedTypes::of(&headers).answer;
    if !is_json(&headers) {
        let refusal = refused("the content type is not application/json in UTF-8");
        return answer.respond_with(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal);
    }
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return answer.respond_with(rejection.status(), refused(rejection.body_text())),
    };
    match prepare(&edge, graphql_request::from_body(&body), answer) {
        Ok(document) => run(&edge, document, &identity, &meter, answer).await,
        Err(refusal) => *refusal,
    }
}

/// Runs the document in the URL, which may read and not change anything. Without one, browsers get the page to write it.
pub(super) async fn document_in_url(
    edge: &Edge,
    identity: &Identity,
    meter: &Meter,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response {
    let accepted = AcceptedTypes::of(headers);
    let answer = accepted.answer;
    let parameters = Query::<UrlParameters>::try_from_uri(uri);
    let names_document = parameters.as_ref().map_or(true, |Query(parameters)| parameters.names_document());
    if !accepted.names_json && (accepted.names_html || !names_document) {
        return playground::page(edge);
    }
    let parameters = match parameters {
        Ok(Query(parameters)) => parameters,
        Err(rejection) => return answer.respond_with(StatusCode::BAD_REQUEST, refused(rejection.body_text())),
    };
    let document = match prepare(edge, parameters.into_request(), answer) {
        Ok(document) => document,
        Err(refusal) => return *refusal,
    };
    if document.kind() != OperationType::Query {
        let refusal = refused("GET only reads: send mutations by POST, and subscriptions over a WebSocket");
        let mut response = answer.respond_with(StatusCode::METHOD_NOT_ALLOWED, refusal);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let mut response = run(edge, document, identity, meter, answer).await;
    // What is answered depends on who asks, and on when.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn prepare(
    edge: &Edge,
    request: Result<Request, RequestError>,
    answer: AnswerType,
) -> Result<PreparedDocument, Box<Response>> {
    let Some(graphql) = &edge.graphql else { return Err(Box::new(StatusCode::NOT_FOUND.into_response())) };
    let request =
        request.map_err(|error| Box::new(answer.respond_with(StatusCode::BAD_REQUEST, refused(error.to_string()))))?;
    graphql.prepare(request).map_err(|refusal| Box::new(answer.respond(*refusal)))
}

async fn run(
    edge: &Edge,
    document: PreparedDocument,
    identity: &Identity,
    meter: &Meter,
    answer: AnswerType,
) -> Response {
    let Some(graphql) = &edge.graphql else { return StatusCode::NOT_FOUND.into_response() };
    if let Err(refusal) = meter.charge_document(document.cost().complexity).await {
        return door::refused(&refusal, true);
    }
    if document.kind() == OperationType::Subscription {
        return answer.respond(refused("subscriptions are answered over a WebSocket, by graphql-transport-ws"));
    }
    match tokio::time::timeout(edge.timeout, graphql.run(document, identity)).await {
        Ok(answered) => answer.respond(answered),
        Err(_elapsed) => answer.respond_with(StatusCode::SERVICE_UNAVAILABLE, timed_out()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let mut charsets =
        parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    is_json && charsets.all(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
}
