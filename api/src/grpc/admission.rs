//! Admission of gRPC calls: the same request gate as HTTP, with refusals as gRPC statuses.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::Status;
use tracing::Instrument;

use crate::{
    auth::AuthenticationError,
    http::request_gate::{AdmissionError, RequestGate, credentials, log_context, peer_address, read_correlation},
};

/// Path prefix of the services that need authentication; health and reflection are public.
pub(super) const GUARDED_PREFIX: &str = "/medhub.";

/// Authenticates and rate-limits; anonymous calls pass.
pub(super) async fn admit_call(State(gate): State<RequestGate>, mut request: Request, next: Next) -> Response {
    let address = gate.client_address(request.headers(), peer_address(&request));
    if !request.uri().path().starts_with(GUARDED_PREFIX) {
        return match gate.charge_public_request(&address) {
            Ok(_) => next.run(request).await,
            Err(error) => admission_status_response(&error),
        };
    }
    let (mut principal, rate_limit) = match gate.admit(&credentials(request.headers()), &address).await {
        Ok(admitted) => admitted,
        Err(error) => return admission_status_response(&error),
    };
    if let Err(header) = read_correlation(request.headers(), &mut principal) {
        let status = Status::invalid_argument(format!("the metadata {header} must be a UUID"));
        return status.into_http::<tonic::body::Body>().into_response();
    }
    let meter = gate.start_meter(&principal, &address, rate_limit);
    let context = log_context(&principal);
    request.extensions_mut().insert(principal);
    request.extensions_mut().insert(meter.clone());
    let mut response = next.run(request).instrument(context.clone()).await;
    context.in_scope(|| tracing::debug!(http.status = response.status().as_u16(), "answered a request"));
    if let Some(rate_limit) = meter.rate_limit_status() {
        rate_limit.write_headers(response.headers_mut());
    }
    response
}

fn admission_status_response(error: &AdmissionError) -> Response {
    let status = match error {
        AdmissionError::RateLimited(_) => Status::resource_exhausted(error.to_string()),
        AdmissionError::TooManySockets(_) => Status::unavailable(error.to_string()),
        AdmissionError::Unauthenticated(AuthenticationError::Unavailable(cause)) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "authentication backend unavailable");
            Status::unavailable(error.to_string())
        }
        AdmissionError::Unauthenticated(_) => Status::unauthenticated(error.to_string()),
    };
    let mut response = status.into_http::<tonic::body::Body>().into_response();
    if let AdmissionError::RateLimited(rate_limit) = error {
        rate_limit.write_headers(response.headers_mut());
    }
    response
}
