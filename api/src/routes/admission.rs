//! Admission of requests, as middleware of the routes.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;

use crate::{
    auth::{Principal, RateLimitSubject},
    graphql,
    http::{
        client_address::ClientAddress,
        problem::Problem,
        rate_limiter::{PublicRoute, RateLimiter},
        request_gate::{
            self, AdmissionError, CORRELATION_ID_HEADER, RequestGate, credentials, log_context, peer_address,
            read_correlation,
        },
    },
    rest,
};

/// Authenticates and rate-limits; anonymous requests pass. Handlers find the [`Principal`] in the request's extensions.
pub(super) async fn admit_request(State(gate): State<RequestGate>, mut request: Request, next: Next) -> Response {
    let address = gate.client_address(request.headers(), peer_address(&request));
    let is_graphql = request.uri().path() == "/graphql";
    let (mut principal, rate_limit) = match gate.admit(&credentials(request.headers()), &address).await {
        Ok(admitted) => admitted,
        Err(error) => return admission_error_response(&error, is_graphql),
    };
    if let Err(header) = read_correlation(request.headers(), &mut principal) {
        return error_response(
            StatusCode::BAD_REQUEST,
            "INVALID_INPUT",
            format!("the header {header} must be a UUID"),
            is_graphql,
        );
    }
    let correlation = principal.sender.caller.correlation_id.to_string();
    let meter = gate.start_meter(&principal, &address, rate_limit);
    let context = log_context(&principal);
    request.extensions_mut().insert(principal);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(meter.clone());
    let mut response = next.run(request).instrument(context.clone()).await;
    context.in_scope(|| tracing::debug!(http.status = response.status().as_u16(), "answered a request"));
    // A refusal already has the rate limit headers.
    if let Some(rate_limit) =
        meter.rate_limit_status().filter(|_| !response.headers().contains_key(header::RETRY_AFTER))
    {
        rate_limit.write_headers(response.headers_mut());
    }
    if let Ok(correlation) = HeaderValue::from_str(&correlation) {
        response.headers_mut().insert(CORRELATION_ID_HEADER, correlation);
    }
    response
}

/// Waits until the process has room for a read. Changes are admitted by their handlers, once their bodies have arrived,
/// so that slow clients take no room.
pub(super) async fn admit_read(State(gate): State<RequestGate>, request: Request, next: Next) -> Response {
    let Some(priority) = rest::read_priority(request.method(), request.uri().path()) else {
        return next.run(request).await;
    };
    let principal = request.extensions().get::<Principal>();
    let subject = principal.map_or(RateLimitSubject::Address, |principal| principal.rate_limit_subject.clone());
    let _permit = match gate.begin_work(&subject, priority).await {
        Ok(permit) => permit,
        Err(full) => return Problem::from(full).into_response(),
    };
    next.run(request).await
}

/// Rate-limits requests that need no login by address: pages, metrics, and unknown paths.
pub(super) async fn admit_public_request(State(limiter): State<RateLimiter>, request: Request, next: Next) -> Response {
    let address = ClientAddress::from_request(request.headers(), peer_address(&request), limiter.trusts_forwarded());
    let route = if request.uri().path() == "/health" { PublicRoute::Health } else { PublicRoute::Other };
    match limiter.charge_public_request(route, &address) {
        Some(rate_limit) if rate_limit.is_exceeded() => {
            request_gate::admission_problem(&AdmissionError::RateLimited(rate_limit))
        }
        rate_limit => {
            let mut response = next.run(request).await;
            if let Some(rate_limit) = rate_limit {
                rate_limit.write_headers(response.headers_mut());
            }
            response
        }
    }
}

/// Responds with an error in the format of the route: GraphQL errors or a problem.
fn error_response(status: StatusCode, code: &'static str, reason: String, is_graphql: bool) -> Response {
    if is_graphql {
        (status, Json(graphql::error_response(reason, code))).into_response()
    } else {
        Problem::new(status, code, reason).into_response()
    }
}

/// Responds to a refused admission in the format of the route: GraphQL errors or a problem.
pub(super) fn admission_error_response(error: &AdmissionError, is_graphql: bool) -> Response {
    request_gate::admission_error_response(error, |status, code, reason| {
        error_response(status, code, reason, is_graphql)
    })
}
