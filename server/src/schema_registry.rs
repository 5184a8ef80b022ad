//! The HTTP edge of the schema registry: Confluent's REST API, so that any client of it works.
//!
//! Schemas are Avro without references; other types, references, rule sets and changes of mode are refused with the
//! error code of Confluent's registry. The module `registry_access` documents the credentials that writing requires.

mod compatibility;
mod compatibility_level;
mod error_response;
mod extractors;
mod health;
mod mode;
mod path_normalizer;
mod registry_access;
mod registry_json;
mod request_body;
mod schemas;
mod subjects;

use api::{
    config::HttpConfig,
    http::{
        inflate::{self, InflatePolicy},
        server_metrics,
    },
};
use axum::{
    Extension, Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};
use eventstore::registry::SchemaStore;
use tokio_util::sync::CancellationToken;
use tower_http::{timeout::TimeoutLayer, trace::TraceLayer};

use self::error_response::RegistryErrorResponse;
pub(crate) use self::registry_access::RegistryAccess;

/// Returns all routes; `access` authorizes every request except to `metrics`. From the announcement of a stop on it is
/// not ready.
pub(crate) fn router(
    config: &HttpConfig,
    store: SchemaStore,
    access: RegistryAccess,
    metrics: Router,
    stop_announcement: CancellationToken,
) -> Router {
    let routes = Router::new()
        .merge(subject_routes())
        .merge(schema_routes())
        .route("/health", get(health::get_liveness))
        .route("/ready", get(health::get_readiness).layer(Extension(stop_announcement)))
        .fallback(async || RegistryErrorResponse::new(StatusCode::NOT_FOUND, 404, "HTTP 404 Not Found"))
        .method_not_allowed_fallback(async || {
            RegistryErrorResponse::new(StatusCode::METHOD_NOT_ALLOWED, 405, "HTTP 405 Method Not Allowed")
        })
        .with_state(store)
        .layer(inflate::inflate_layer(InflatePolicy::UpTo(config.max_body_bytes)))
        .layer(from_fn_with_state(access, registry_access::authorize_request))
        .layer(from_fn(server_metrics::measure_http_request));
    // Paths are normalized before they are routed.
    metrics
        .fallback_service(routes)
        .layer(from_fn(path_normalizer::normalize_path))
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request_timeout()))
        .layer(TraceLayer::new_for_http().on_failure(()))
}

fn subject_routes() -> Router<SchemaStore> {
    Router::new()
        .route("/subjects", get(subjects::list_subjects))
        .route("/subjects/{subject}", post(subjects::lookup_schema).delete(subjects::delete_subject))
        .route("/subjects/{subject}/versions", get(subjects::list_versions).post(subjects::register_schema))
        .route("/subjects/{subject}/versions/{version}", get(subjects::get_version).delete(subjects::delete_version))
        .route("/subjects/{subject}/versions/{version}/schema", get(subjects::get_version_schema))
        .route("/subjects/{subject}/versions/{version}/referencedby", get(subjects::list_references))
        .route("/compatibility/subjects/{subject}/versions", post(compatibility::check_all_versions))
        .route("/compatibility/subjects/{subject}/versions/{version}", post(compatibility::check_version))
}

fn schema_routes() -> Router<SchemaStore> {
    Router::new()
        .route("/", get(schemas::get_root))
        .route("/schemas", get(schemas::list_schemas))
        .route("/contexts", get(schemas::list_contexts))
        .route("/v1/metadata/id", get(schemas::get_cluster_id))
        .route("/v1/metadata/version", get(schemas::get_server_version))
        .route("/schemas/types", get(schemas::list_schema_types))
        .route("/schemas/ids/{id}", get(schemas::get_schema))
        .route("/schemas/ids/{id}/schema", get(schemas::get_schema_text))
        .route("/schemas/ids/{id}/subjects", get(schemas::list_schema_subjects))
        .route("/schemas/ids/{id}/versions", get(schemas::list_schema_versions))
        .route(
            "/config",
            get(compatibility_level::get_global_level)
                .put(compatibility_level::set_global_level)
                .delete(compatibility_level::clear_global_level),
        )
        .route(
            "/config/{subject}",
            get(compatibility_level::get_subject_level)
                .put(compatibility_level::set_subject_level)
                .delete(compatibility_level::clear_subject_level),
        )
        .route("/mode", get(mode::get_global_mode).put(mode::set_global_mode))
        .route(
            "/mode/{subject}",
            get(mode::get_subject_mode).put(mode::set_subject_mode).delete(mode::clear_subject_mode),
        )
}
