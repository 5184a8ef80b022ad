//! The HTTP edge: routes, limits and nothing else.

mod assets;
pub(crate) mod door;
mod execute;
mod health;
mod landing;
pub(crate) mod limiter;
mod metrics;
mod objectives;
mod playground;
pub(crate) mod problem;
mod socket;
#[cfg(test)]
mod tests;
mod together;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use collaboration::Rooms;
use eventstore::store::PgStore;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Semaphore;
use tower_http::{
    cors::{AllowOrigin, CorsLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};

pub use self::metrics::keep as keep_metrics;
use self::{door::Door, objectives::Objectives};
use crate::{
    config::HttpConfig,
    graphql::GraphQl,
    rest::{self, Rest},
    serve::Readiness,
};

/// Time for everything around a GraphQL document: reading the body, writing the answer.
const TRANSFER: Duration = Duration::from_secs(5);

/// What the handlers share. Cheap to clone, since every request does.
#[derive(Clone)]
struct Edge(Arc<Shared>);

impl std::ops::Deref for Edge {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// What is behind it.
struct Shared {
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
    /// Finds out who asks; there is one wherever something is asked.
    door: Option<Door>,
    /// Where proposals are written together, wherever something is asked.
    rooms: Option<Arc<Rooms<PgStore<()>>>>,
    /// WebSocket connections that may still be opened.
    sockets: Arc<Semaphore>,
    /// Longest message over a WebSocket, in bytes.
    max_message_bytes: usize,
    /// Time between two pings over a WebSocket.
    ping_every: Duration,
    /// How requests are answered.
    objectives: Objectives,
}

/// What is served to those who ask, and who is let in.
pub(crate) struct Served {
    /// Runs GraphQL documents.
    pub(crate) graphql: GraphQl,
    /// Finds out who asks.
    pub(crate) door: Door,
    /// What REST works on.
    pub(crate) rest: Rest,
}

/// All routes. Without `served` only those that tell how the process is.
pub(crate) fn router(
    config: &HttpConfig,
    served: Option<Served>,
    readiness: Arc<Readiness>,
    metrics: Option<PrometheusHandle>,
) -> Router {
    let (graphql, door, rest) = match served {
        Some(Served { graphql, door, rest }) => (Some(graphql), Some(door), Some(rest)),
        None => (None, None, None),
    };
    let edge = Edge(Arc::new(Shared {
        rooms: rest.as_ref().map(|rest| Arc::clone(&rest.stores.rooms)),
        graphql,
        readiness,
        metrics,
        assets_dir: config.assets_dir.clone(),
        timeout: config.request_timeout(),
        door: door.clone(),
        sockets: Arc::new(Semaphore::new(config.max_sockets)),
        max_message_bytes: config.max_body_bytes,
        ping_every: config.ping_every(),
        objectives: Objectives::default(),
    }));
    let mut described = Router::new();
    let mut routes = Router::new()
        .route("/", get(landing::page))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .route("/slo", get(objectives::report))
        .route("/metrics", get(metrics::text));
    if let (Some(door), Some(rest)) = (door, rest) {
        let measure = || middleware::from_fn_with_state(edge.objectives.clone(), objectives::measure);
        let rest = rest::routes(rest).layer(middleware::from_fn_with_state(door.clone(), door::guard)).layer(measure());
        let asked = Router::new()
            .route("/graphql", get(socket::or_playground).post(execute::document))
            .route("/together/{proposal_id}", get(together::open));
        routes = routes
            .merge(asked.layer(middleware::from_fn_with_state(door, door::guard)).layer(measure()))
            .route("/playground.js", get(playground::script))
            .route("/assets/{file}", get(assets::file));
        described = described.merge(rest);
    }
    described
        .merge(routes.with_state(edge))
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(cors(config))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, config.request_timeout() + TRANSFER))
        .layer(TraceLayer::new_for_http().on_failure(()))
}

/// Lets pages of these origins ask; of none where none is named.
fn cors(config: &HttpConfig) -> CorsLayer {
    let origins = config.cors_origins.split(',').filter_map(|origin| HeaderValue::from_str(origin.trim()).ok());
    let origins: Vec<_> = origins.filter(|origin| !origin.is_empty()).collect();
    let told = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after", "x-correlation-id", "etag"];
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            door::TENANT,
            door::CORRELATION,
            door::CAUSATION,
            HeaderName::from_static("idempotency-key"),
        ])
        .expose_headers(told.map(HeaderName::from_static))
        .max_age(Duration::from_mins(10))
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
