//! REST: for files, machines and trackers. Described by `OpenAPI` at `/api/v1/openapi.json`.
//!
//! Versions are entity tags: a response has the `ETag` of the object, and a change with `If-Match` is recorded only if
//! that tag is still current (RFC 9110, section 13.1.1). Weak tags are accepted, because proxies weaken strong ones
//! when they compress; so is any tag of a list. A read with `If-None-Match` of the current tag is answered 304. A
//! request that is repeated with the same `Idempotency-Key` changes nothing.
//!
//! Request bodies may be compressed by gzip or deflate, except files, which are stored as they arrive.

#![allow(unused_qualifications, reason = "the macro that describes routes writes whole paths")]

mod analytics;
mod content_disposition;
mod document;
mod document_text;
mod extractors;
mod file_content;
mod ingest;
mod media_type;
mod openapi;
mod opportunity;
mod opportunity_list;
mod resource;
mod responses;
mod tenant_object;
mod upload;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, FromRequestParts, rejection::ExtensionRejection},
    http::Method,
    http::{HeaderMap, request::Parts},
    routing::{get, post, put},
};
use domain::document::MAX_FILE_BYTES;
use objects::ObjectStore;
use utoipa::OpenApi;

use self::openapi::BearerSecurity;
pub(crate) use self::{
    extractors::{PREFER, PREFERENCE_APPLIED},
    responses::CONSISTENCY_TOKEN,
};
pub use self::{
    ingest::{IngestConfig, IngestService},
    openapi::openapi_document as openapi,
};
use crate::{
    app_context::AppContext,
    auth::Principal,
    http::{
        inflate::{self, InflatePolicy},
        load_shedder::RequestPriority,
        request_gate::RequestGate,
    },
};

/// State shared by the handlers.
#[derive(Clone)]
pub struct RestState {
    /// Clients of all stores, and the dispatcher.
    pub app: AppContext,
    /// Records views and clicks.
    pub ingest: Arc<IngestService>,
    /// Stores the files of documents.
    pub objects: ObjectStore,
    /// Admits changes.
    pub gate: RequestGate,
}

/// What every handler needs of a request.
struct RestRequest {
    rest: Arc<RestState>,
    principal: Principal,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<RestState>> for RestRequest {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, rest: &Arc<RestState>) -> Result<Self, ExtensionRejection> {
        let Extension(principal) = Extension::from_request_parts(parts, rest).await?;
        Ok(Self { rest: Arc::clone(rest), principal, headers: parts.headers.clone() })
    }
}

/// The description of all routes, before [`openapi`] marks its error content.
#[derive(OpenApi)]
#[openapi(
    info(title = "MedContractHub", description = "For files, machines and trackers. Others use GraphQL (`/graphql`)."),
    paths(
        opportunity_list::list_opportunities,
        opportunity::get_opportunity,
        resource::list_resources,
        resource::get_resource,
        resource::create_resource,
        resource::update_resource,
        resource::delete_resource,
        document::list_documents,
        document::get_document,
        document::get_document_content,
        upload::upload_document,
        document::delete_document,
        document_text::record_document_text,
        document_text::get_document_text,
        ingest::ingest_events,
        analytics::list_events,
    ),
    modifiers(&BearerSecurity),
    security((), ("bearer" = []))
)]
struct ApiDescription;

/// Returns the routes, and separately the routes of files, which are written to disk as they arrive and never held in
/// memory. Bodies have `max_body_bytes` bytes at most unless a route sets its own limit.
pub(crate) fn routes(rest: RestState, max_body_bytes: usize) -> (Router, Router) {
    let max_file_bytes = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
    let max_ingest_bytes = rest.ingest.max_body_bytes().max(max_body_bytes);
    let plain = Router::new()
        .route("/api/v1/opportunities", get(opportunity_list::list_opportunities))
        .route("/api/v1/opportunities/{id}", get(opportunity::get_opportunity))
        .route("/api/v1/resources", get(resource::list_resources).post(resource::create_resource))
        .route(
            "/api/v1/resources/{id}",
            get(resource::get_resource).put(resource::update_resource).delete(resource::delete_resource),
        )
        .route("/api/v1/documents/{id}", get(document::get_document).delete(document::delete_document))
        .route("/api/v1/documents/{id}/content", get(document::get_document_content))
        .route("/api/v1/openapi.json", get(openapi::serve_openapi))
        .route("/analytics/events", get(analytics::list_events))
        .layer(inflate::inflate_layer(InflatePolicy::UpTo(max_body_bytes)));
    let texts = Router::new()
        .route(
            "/api/v1/documents/{id}/text",
            put(document_text::record_document_text).get(document_text::get_document_text),
        )
        .layer((
            inflate::inflate_layer(InflatePolicy::UpTo(document_text::MAX_TEXT_BYTES)),
            DefaultBodyLimit::max(document_text::MAX_TEXT_BYTES),
        ));
    let files = Router::new()
        .route("/api/v1/documents", post(upload::upload_document).get(document::list_documents))
        .layer((inflate::inflate_layer(InflatePolicy::Never), DefaultBodyLimit::max(max_file_bytes)));
    let events = Router::new().route("/ingest", post(ingest::ingest_events)).layer((
        inflate::inflate_layer(InflatePolicy::UpTo(max_ingest_bytes)),
        DefaultBodyLimit::max(max_ingest_bytes),
    ));
    let rest = Arc::new(rest);
    (plain.merge(texts).merge(events).with_state(Arc::clone(&rest)), files.with_state(rest))
}

/// How important a read is; `None` for everything else, and for reads that take as long as their clients do or only
/// return a text of the program.
pub(crate) fn read_priority(method: &Method, path: &str) -> Option<RequestPriority> {
    if ![Method::GET, Method::HEAD].contains(method) || path.ends_with("/content") || path.ends_with("/openapi.json") {
        return None;
    }
    Some(if path == "/analytics/events" { RequestPriority::Batch } else { RequestPriority::Query })
}

/// Whether a request uploads a file or a text, which may take as long as data arrives.
pub(crate) fn is_upload_request(method: &Method, path: &str) -> bool {
    match path.strip_prefix("/api/v1/documents") {
        Some("") => method == Method::POST,
        Some(document) => method == Method::PUT && document.ends_with("/text"),
        None => false,
    }
}
