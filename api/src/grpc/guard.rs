//! The way in: the same as over HTTP, with refusals as gRPC tells them.

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::Status;

use crate::{
    http::door::{Door, Refusal, connected, origin, shown},
    identity::Unauthenticated,
};

/// What is asked of the service itself; health and reflection are for everybody.
pub(super) const GUARDED: &str = "/medhub.";

/// Lets in whoever is somebody, or nobody, and has not asked too often.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let address = door.address(request.headers(), connected(&request));
    if !request.uri().path().starts_with(GUARDED) {
        return match door.charge_page(&address) {
            Ok(_) => next.run(request).await,
            Err(refusal) => refused(&refusal),
        };
    }
    let (mut identity, room) = match door.admit(&shown(request.headers()), &address).await {
        Ok(admitted) => admitted,
        Err(refusal) => return refused(&refusal),
    };
    if let Err(header) = origin(request.headers(), &mut identity) {
        let status = Status::invalid_argument(format!("the metadata {header} has to be a UUID"));
        return status.into_http::<tonic::body::Body>().into_response();
    }
    let meter = door.meter(&identity, &address, room);
    request.extensions_mut().insert(identity);
    request.extensions_mut().insert(meter.clone());
    let mut answer = next.run(request).await;
    if let Some(room) = meter.room() {
        room.tell(answer.headers_mut());
    }
    answer
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::TooMany(_) => Status::resource_exhausted(refusal.to_string()),
        Refusal::NoPlace(_) => Status::unavailable(refusal.to_string()),
        Refusal::Unauthenticated(Unauthenticated::Unavailable(cause)) => {
            tracing::error!(error = &**cause as &dyn std::error::Error, "nobody can be recognised");
            Status::unavailable(refusal.to_string())
        }
        Refusal::Unauthenticated(_) => Status::unauthenticated(refusal.to_string()),
    };
    let mut answer = status.into_http::<tonic::body::Body>().into_response();
    if let Refusal::TooMany(room) = refusal {
        room.tell(answer.headers_mut());
    }
    answer
}
