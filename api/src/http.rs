//! The HTTP edge: routes, limits and nothing else.

mod assets;
mod execute;
mod health;
mod landing;
mod metrics;
mod playground;
mod socket;
mod standing;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tower_http::{timeout::TimeoutLayer, trace::TraceLayer};

pub use self::metrics::keep as keep_metrics;
use crate::{
    config::{AdminConfig, HttpConfig},
    graphql::GraphQl,
    serve::Readiness,
};

/// Time for everything around a GraphQL document: reading the body, writing the answer.
const TRANSFER: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Clone)]
struct Edge {
    /// Runs GraphQL documents; `None` where this process serves none.
    graphql: Option<GraphQl>,
    /// Tells whether this process can do its work.
    readiness: Arc<Readiness>,
    /// What this process measured of itself.
    metrics: Option<PrometheusHandle>,
    /// Folder with the playground's scripts.
    assets_dir: Option<PathBuf>,
    /// How long a GraphQL document may run.
    timeout: Duration,
    /// Who is an operator.
    admin: AdminConfig,
    /// WebSocket connections that may still be opened.
    sockets: Arc<Semaphore>,
    /// Longest message over a WebSocket, in bytes.
    max_message_bytes: usize,
    /// Time between two pings over a WebSocket.
    ping_every: Duration,
}

/// All routes. Without `graphql` only those that tell how the process is.
pub fn router(
    config: &HttpConfig,
    admin: &AdminConfig,
    graphql: Option<GraphQl>,
    readiness: Arc<Readiness>,
    metrics: Option<PrometheusHandle>,
) -> Router {
    let serves_graphql = graphql.is_some();
    let edge = Edge {
        graphql,
        readiness,
        metrics,
        assets_dir: config.assets_dir.clone(),
        timeout: config.request_timeout(),
        admin: admin.clone(),
        sockets: Arc::new(Semaphore::new(config.max_sockets)),
        max_message_bytes: config.max_body_bytes,
        ping_every: config.ping_every(),
    };
    let mut routes = Router::new()
        .route("/", get(landing::page))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::text));
    if serves_graphql {
        routes = routes
            .route("/graphql", get(socket::or_playground).post(execute::document))
            .route("/playground.js", get(playground::script))
            .route("/assets/{file}", get(assets::file));
    }
    routes
        .fallback(not_found)
        .with_state(edge)
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request_timeout() + TRANSFER))
        .layer(TraceLayer::new_for_http().on_failure(()))
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "nothing is served here\n")
}

/// A page that loads scripts and styles from this server only.
fn html(status: StatusCode, body: String) -> Response {
    const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                          font-src 'self' data:; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body).into_response()
}
