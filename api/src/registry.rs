//! The schema registry's HTTP edge: Confluent's REST API, so that any of its clients works against this program.
//!
//! Schemas are Avro without references; other types, references, rule sets and changes of mode are refused with the
//! code that Confluent's registry has for it. What one has to show to write is said in the module `access`.

mod access;
mod answer;
mod compatibility;
mod config;
mod health;
mod mode;
mod path;
mod proposal;
mod query;
mod refusal;
mod schemas;
mod subjects;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use eventstore::registry::SchemaStore;
use tower_http::{timeout::TimeoutLayer, trace::TraceLayer};

pub(crate) use self::access::Access;
use self::refusal::Refusal;
use crate::{
    config::HttpConfig,
    http::inflate::{self, Inflation},
};

/// All routes, for those whom `access` lets in.
pub(crate) fn router(config: &HttpConfig, store: SchemaStore, access: Access) -> Router {
    let routes = Router::new()
        .merge(subject_routes())
        .merge(other_routes())
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, 405, "HTTP 405 Method Not Allowed")
        })
        .with_state(store)
        .layer(inflate::layer(Inflation::UpTo(config.max_body_bytes)))
        .layer(from_fn_with_state(access, access::guard));
    // Paths are tidied before routes are looked for.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(path::tidy))
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request_timeout()))
        .layer(TraceLayer::new_for_http().on_failure(()))
}

fn subject_routes() -> Router<SchemaStore> {
    Router::new()
        .route("/subjects", get(subjects::list))
        .route("/subjects/{subject}", post(subjects::lookup).delete(subjects::delete))
        .route("/subjects/{subject}/versions", get(subjects::versions).post(subjects::register))
        .route("/subjects/{subject}/versions/{version}", get(subjects::version).delete(subjects::delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::schema))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::referenced_by))
        .route("/compatibility/subjects/{subject}/versions", post(compatibility::with_all))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatibility::with_one))
}

fn other_routes() -> Router<SchemaStore> {
    Router::new()
        .route("/", get(schemas::root))
        .route("/schemas", get(schemas::list))
        .route("/contexts", get(schemas::contexts))
        .route("/v1/metadata/id", get(schemas::cluster))
        .route("/v1/metadata/version", get(schemas::product))
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects))
        .route("/schemas/ids/{id}/versions", get(schemas::versions))
        .route("/config", get(config::global).put(config::set_global).delete(config::clear_global))
        .route("/config/{subject}", get(config::of_subject).put(config::set).delete(config::clear))
        .route("/mode", get(mode::global).put(mode::set_global))
        .route("/mode/{subject}", get(mode::of_subject).put(mode::set).delete(mode::clear))
}
