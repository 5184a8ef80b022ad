//! What a request says, or the problem with it.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use commands::condition::{Conditions, Once};
use domain::value::InvalidValue;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::http::problem::Problem;

/// A body in JSON.
pub(super) struct Sent<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(sent)) => Ok(Self(sent)),
            Err(rejection) => Err(wrong_body(&rejection)),
        }
    }
}

/// The problem with a body.
pub(super) fn wrong_body(rejection: &JsonRejection) -> Problem {
    let status = match rejection.status() {
        // Well-formed, but not what is taken: the same to a client as what is not well-formed.
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    Problem::new(status, "INVALID_INPUT", rejection.body_text())
}

/// What stands behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(rejection) => Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", rejection.body_text())),
        }
    }
}

/// An id in the path.
pub(super) struct Named(pub(super) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<Uuid>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", "the id is no UUID").in_field("id")),
        }
    }
}

/// A bad value in a field.
pub(super) fn invalid(field: &str, reason: &InvalidValue) -> Problem {
    wrong(field, reason.to_string())
}

/// A field that is wrong for a reason of the API itself.
pub(super) fn wrong(field: &str, reason: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", reason).in_field(field)
}

/// What a change has to find: `If-Match` and `Idempotency-Key`, the latter for what is `asked`.
pub(super) fn conditions(headers: &HeaderMap, asked: &str) -> Result<Conditions, Problem> {
    let text = |name: &str| -> Result<Option<&str>, Problem> {
        let value = headers.get(name).map(|value| value.to_str());
        value.transpose().map_err(|_| wrong(name, "the header is no plain text"))
    };
    let expected_version = match text(header::IF_MATCH.as_str())? {
        None | Some("*") => None,
        Some(tag) => Some(tag.trim().trim_matches('"').parse().map_err(|_| wrong("If-Match", "no ETag of ours"))?),
    };
    let once = text("idempotency-key")?.map(|key| Once::try_new(key, asked));
    let once = once.transpose().map_err(|reason| invalid("Idempotency-Key", &reason))?;
    Ok(Conditions { expected_version, once })
}
