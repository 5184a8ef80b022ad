//! The schema registry's HTTP edge: Confluent's REST API, so that any of its clients works against this program.
//!
//! Schemas are Avro without references; other types, references, rule sets and changes of mode are refused with the
//! code that Confluent's registry has for it.

mod answer;
mod compatibility;
mod config;
mod health;
mod proposal;
mod query;
mod refusal;
mod schemas;
mod subjects;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    routing::{get, post},
};
use eventstore::registry::SchemaStore;
use tower_http::{timeout::TimeoutLayer, trace::TraceLayer};

use self::refusal::Refusal;
use crate::config::HttpConfig;

/// All routes.
pub fn router(config: &HttpConfig, store: SchemaStore) -> Router {
    Router::new()
        .merge(subject_routes())
        .merge(other_routes())
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, 405, "HTTP 405 Method Not Allowed")
        })
        .with_state(store)
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
        .route("/schemas/types", get(schemas::types))
        .route("/schemas/ids/{id}", get(schemas::by_id))
        .route("/schemas/ids/{id}/schema", get(schemas::text))
        .route("/schemas/ids/{id}/subjects", get(schemas::subjects))
        .route("/schemas/ids/{id}/versions", get(schemas::versions))
        .route("/config", get(config::global).put(config::set_global).delete(config::clear_global))
        .route("/config/{subject}", get(config::of_subject).put(config::set).delete(config::clear))
        .route("/mode", get(config::mode))
        .route("/mode/{subject}", get(config::mode_of_subject))
}
