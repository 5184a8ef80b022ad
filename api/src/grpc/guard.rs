//! The way in: the same as over HTTP, with refusals as gRPC tells them.

use std::net::SocketAddr;

use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tonic::Status;

use crate::{
    http::door::{Door, Refusal, origin, shown},
    identity::Unauthenticated,
};

/// What is asked of the service itself; health and reflection are for everybody.
const GUARDED: &str = "/medhub.";

/// Lets in whoever is somebody, or nobody, and has not asked too often.
pub(super) async fn guard(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(GUARDED) {
        return next.run(request).await;
    }
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(at)| *at);
    let address = door.address(request.headers(), connected);
    let mut identity = match door.identify(&shown(request.headers()), &address).await {
        Ok(identity) => identity,
        Err(refusal) => return refused(&refusal),
    };
    if let Err(header) = origin(request.headers(), &mut identity) {
        let status = Status::invalid_argument(format!("the metadata {header} has to be a UUID"));
        return status.into_http::<tonic::body::Body>().into_response();
    }
    let room = match door.count(&identity, &address).await {
        Ok(room) => room,
        Err(refusal) => return refused(&refusal),
    };
    request.extensions_mut().insert(identity);
    let mut answer = next.run(request).await;
    if let Some(room) = room {
        room.tell(answer.headers_mut());
    }
    answer
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::TooMany(_) => Status::resource_exhausted(refusal.to_string()),
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
