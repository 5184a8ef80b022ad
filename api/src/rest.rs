//! REST: what is not asked in GraphQL. Described by `OpenAPI` at `/api/v1/openapi.json`.
//!
//! Versions travel as entity tags: an answer has the `ETag` of what it shows, and a change that says `If-Match` is made
//! only if that is still the one (RFC 9110, section 13.1.1); a weak tag, as proxies make of ours when they compress,
//! counts as ours, and of several any. A reader who has it and says `If-None-Match` is answered 304. `Idempotency-Key`
//! makes a repetition harmless.
//!
//! Bodies may be compressed by gzip or deflate, but for files, which are kept as they come.

#![allow(unused_qualifications, reason = "the macro that describes routes writes whole paths")]

mod analytics;
mod content_disposition;
mod document;
mod extract;
mod file_content;
mod ingest;
mod media_type;
mod openapi;
mod opportunity;
mod resource;
mod settled;
mod text;
mod upload;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::Method,
    routing::{get, post, put},
};
use domain::document::MAX_BYTES;

pub(crate) use self::{
    extract::{PREFER, PREFERENCE_APPLIED},
    settled::CONSISTENCY_TOKEN,
};
pub use self::{
    ingest::{Ingest, IngestConfig},
    openapi::document as openapi,
};
use crate::{
    http::inflate::{self, Inflation},
    objects::Objects,
    store::Stores,
};

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

/// All routes, and apart from them those of files, which are written down as they come and never held in memory. Bodies
/// have `most_bytes` at most where nothing else is said.
pub(crate) fn routes(rest: Rest, most_bytes: usize) -> (Router, Router) {
    let longest = usize::try_from(MAX_BYTES).unwrap_or(usize::MAX);
    let most_ingest_bytes = rest.ingest.longest_body().max(most_bytes);
    let plain = Router::new()
        .route("/api/v1/opportunities", get(opportunity::list))
        .route("/api/v1/opportunities/{id}", get(opportunity::one))
        .route("/api/v1/resources", get(resource::list).post(resource::create))
        .route("/api/v1/resources/{id}", get(resource::one).put(resource::update).delete(resource::delete))
        .route("/api/v1/documents/{id}", get(document::one).delete(document::delete))
        .route("/api/v1/documents/{id}/content", get(document::content))
        .route("/api/v1/openapi.json", get(openapi::served))
        .route("/analytics/events", get(analytics::events))
        .layer(inflate::layer(Inflation::UpTo(most_bytes)));
    let texts = Router::new()
        .route("/api/v1/documents/{id}/text", put(text::record).get(text::shown))
        .layer(DefaultBodyLimit::max(text::MOST_BYTES))
        .layer(inflate::layer(Inflation::UpTo(text::MOST_BYTES)));
    let files = Router::new()
        .route("/api/v1/documents", post(upload::upload).get(document::list))
        .layer(DefaultBodyLimit::max(longest))
        .layer(inflate::layer(Inflation::Never));
    let events = Router::new()
        .route("/ingest", post(ingest::take))
        .layer(DefaultBodyLimit::max(most_ingest_bytes))
        .layer(inflate::layer(Inflation::UpTo(most_ingest_bytes)));
    let rest = Arc::new(rest);
    (plain.merge(texts).merge(events).with_state(Arc::clone(&rest)), files.with_state(rest))
}

/// Whether a request brings a file, which may take as long as it goes on.
pub(crate) fn is_upload(method: &Method, path: &str) -> bool {
    match path.strip_prefix("/api/v1/documents") {
        Some("") => method == Method::POST,
        Some(document) => method == Method::PUT && document.ends_with("/text"),
        None => false,
    }
}
