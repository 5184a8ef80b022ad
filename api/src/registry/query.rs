//! What the path and the query of a request say.

use axum::{
    extract::{FromRequestParts, Path, Query},
    http::{StatusCode, request::Parts},
};
use eventstore::registry::{Deleted, Page, Subject, VersionId};
use serde::{Deserialize, de::DeserializeOwned};

use super::Refusal;

/// The query of every request; what a request has no use for is ignored, as Confluent's registry does.
#[derive(Debug, Default, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches that somebody else named")]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Options {
    deleted: bool,
    deleted_only: bool,
    pub(super) permanent: bool,
    pub(super) verbose: bool,
    pub(super) default_to_global: bool,
    pub(super) fetch_max_id: bool,
    pub(super) subject_prefix: String,
    offset: i64,
    limit: Option<i64>,
}

impl Options {
    pub(super) fn deleted(&self) -> Deleted {
        match (self.deleted_only, self.deleted) {
            (true, _) => Deleted::Alone,
            (false, true) => Deleted::Shown,
            (false, false) => Deleted::Hidden,
        }
    }

    pub(super) fn page(&self) -> Page {
        // A negative limit is Confluent's word for none.
        Page { offset: self.offset.max(0), limit: self.limit.filter(|limit| *limit >= 0) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Options {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = Query::<Self>::from_request_parts(parts, state).await;
        found.map(|Query(options)| options).map_err(|error| bad(error.body_text()))
    }
}

/// A subject in the path.
pub(super) struct OfSubject(pub(super) Subject);

impl<S: Send + Sync> FromRequestParts<S> for OfSubject {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let name: String = path(parts, state).await?;
        Ok(Self(Subject::try_new(&name)?))
    }
}

/// A subject and one of its versions in the path.
pub(super) struct OfVersion(pub(super) Subject, pub(super) VersionId);

impl<S: Send + Sync> FromRequestParts<S> for OfVersion {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let (name, version): (String, String) = path(parts, state).await?;
        Ok(Self(Subject::try_new(&name)?, version.parse()?))
    }
}

/// A schema's id in the path.
pub(super) struct OfId(pub(super) i32);

impl<S: Send + Sync> FromRequestParts<S> for OfId {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let id: String = path(parts, state).await?;
        // What is no number names no schema; Confluent's registry knows no such path either.
        id.parse().map(Self).map_err(|_| Refusal::new(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))
    }
}

async fn path<T: DeserializeOwned + Send, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<T, Refusal> {
    let found = Path::<T>::from_request_parts(parts, state).await;
    found.map(|Path(path)| path).map_err(|error| bad(error.body_text()))
}

fn bad(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, 400, message)
}
