//! REST: what is not asked in GraphQL. Described by `OpenAPI` at `/api/v1/openapi.json`.
//!
//! Versions travel as entity tags: an answer has the `ETag` of what it shows, and a change that says `If-Match` is made
//! only if that is still the one (RFC 9110, section 13.1.1). `Idempotency-Key` makes a repetition harmless.

#![allow(unused_qualifications, reason = "the macro that describes routes writes whole paths")]

mod analytics;
mod document;
mod extract;
mod ingest;
mod objects;
mod openapi;
mod opportunity;
mod resource;
mod settled;
mod text;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post, put},
};
use domain::document::MAX_BYTES;

pub use self::{
    ingest::{Ingest, IngestConfig},
    objects::{Objects, ObjectsConfig},
    openapi::document as openapi,
};
use crate::store::Stores;

/// What the handlers share.
#[derive(Clone)]
pub struct Rest {
    /// What is on record.
    pub stores: Stores,
    /// Takes views and clicks.
    pub ingest: Arc<Ingest>,
    /// Holds files.
    pub objects: Objects,
}

/// All routes.
pub(crate) fn routes(rest: Rest) -> Router {
    let longest = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
    Router::new()
        .route("/api/v1/opportunities", get(opportunity::list))
        .route("/api/v1/opportunities/{id}", get(opportunity::one))
        .route("/api/v1/resources", get(resource::list).post(resource::create))
        .route("/api/v1/resources/{id}", get(resource::one).put(resource::update).delete(resource::delete))
        .route("/api/v1/documents", post(document::upload).layer(DefaultBodyLimit::max(longest)).get(document::list))
        .route("/api/v1/documents/{id}", get(document::one).delete(document::delete))
        .route("/api/v1/documents/{id}/content", get(document::content))
        .route(
            "/api/v1/documents/{id}/text",
            put(text::record).layer(DefaultBodyLimit::max(text::MOST_BYTES)).get(text::shown),
        )
        .route("/api/v1/openapi.json", get(openapi::served))
        .route("/ingest", post(ingest::take))
        .route("/analytics/events", get(analytics::events))
        .with_state(Arc::new(rest))
}
