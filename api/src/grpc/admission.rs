//! The way in: the same as over HTTP, with refusals as gRPC tells them.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::Status;

use crate::{
    auth::AuthenticationError,
    http::request_gate::{AdmissionError, RequestGate, credentials, peer_address, read_correlation},
};

/// What is asked of the service itself; health and reflection are for everybody.
pub(super) const GUARDED_PREFIX: &str = "/medhub.";

/// Lets in whoever is somebody, or nobody, and has not asked too often.
pub(super) async fn admit_call(State(door): State<RequestGate>, mut request: Request, next: Next) -> Response {
    let address = door.client_address(request.headers(), peer_address(&request));
    if !request.uri().path().starts_with(GUARDED_PREFIX) {
        return match door.charge_public_request(&address) {
            Ok(_) => next.run(request).await,
            Err(refusal) => admission_status_response(&refusal),
        };
    }
    let (mut identity, room) = match door.admit(&credentials(request.headers()), &address).await {
        Ok(admitted) => admitted,
        Err(refusal) => return admission_status_response(&refusal),
    };
    if let Err(header) = read_correlation(request.headers(), &mut identity) {
        let status = Status::invalid_argument(format!("the metadata {header} has to be a UUID"));
        return status.into_http::<tonic::body::Body>().into_response();
    }
    let meter = door.start_meter(&identity, &address, room);
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(meter.clone());
    let mut answer = next.run(request).await;
    if let Some(room) = meter.rate_limit_status() {
        room.write_headers(answer.headers_mut());
    }
    answer
}

fn admission_status_response(refusal: &AdmissionError) -> Response {
    let status = match refusal {
        AdmissionError::RateLimited(_) => Status::resource_exhausted(refusal.to_string()),
        AdmissionError::TooManySockets(_) => Status::unavailable(refusal.to_string()),
        AdmissionError::Unauthenticated(AuthenticationError::Unavailable(cause)) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "nobody can be recognised");
            Status::unavailable(refusal.to_string())
        }
        AdmissionError::Unauthenticated(_) => Status::unauthenticated(refusal.to_string()),
    };
    let mut answer = status.into_http::<tonic::body::Body>().into_response();
    if let AdmissionError::RateLimited(room) = refusal {
        room.write_headers(answer.headers_mut());
    }
    answer
}
