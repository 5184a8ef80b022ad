//! The HTTP edge: routes, limits and nothing else.

mod assets;
pub(crate) mod body_memory;
pub(crate) mod client_address;
pub(crate) mod connection;
mod graphql_handler;
mod graphql_request;
mod graphql_websocket;
mod health;
pub(crate) mod inflate;
mod json_bounds;
mod landing;
mod metrics;
mod playground;
pub(crate) mod problem;
pub(crate) mod rate_limiter;
pub(crate) mod request_gate;
mod response_media_type;
mod service_objectives;
mod shared_editing;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use collaboration::RoomManager;
use eventstore::store::PgEventStore;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::{
    cors::{AllowOrigin, CorsLayer},
    trace::TraceLayer,
};

pub(crate) use self::graphql_websocket::socket_permits::SocketPermit;
pub use self::metrics::install_recorder as keep_metrics;
use self::{
    body_memory::BodyMemory, graphql_websocket::socket_permits::SocketPermits, inflate::InflatePolicy,
    rate_limiter::RateLimiter, request_gate::RequestGate, service_objectives::ServiceObjectives,
};
use crate::{
    config::HttpConfig,
    graphql::GraphQl,
    rest::{self, RestState},
    serve::ReadinessProbe,
};

/// Time for everything around a GraphQL document: reading the body, writing the answer.
const TRANSFER_ALLOWANCE: Duration = Duration::from_secs(5);

/// What the handlers share. Cheap to clone, since every request does.
#[derive(Clone)]
struct HttpState(Arc<HttpStateInner>);

impl std::ops::Deref for HttpState {
    type Target = HttpStateInner;

    fn deref(&self) -> &HttpStateInner {
        &self.0
    }
}

/// What is behind it.
struct HttpStateInner {
    /// Runs GraphQL documents; `None` where this process serves none.
    graphql: Option<GraphQl>,
    /// Tells whether this process can do its work.
    readiness: Arc<ReadinessProbe>,
    /// What this process measured of itself.
    metrics: Option<PrometheusHandle>,
    /// Folder with the playground's scripts.
    assets_dir: Option<PathBuf>,
    /// How long a GraphQL document may run.
    timeout: Duration,
    /// Finds out who asks; there is one wherever something is asked.
    gate: Option<RequestGate>,
    /// Where proposals are written together, wherever something is asked.
    rooms: Option<Arc<RoomManager<PgEventStore<()>>>>,
    /// Places for `WebSocket`s.
    socket_permits: SocketPermits,
    /// Longest message over a WebSocket, in bytes.
    max_message_bytes: usize,
    /// Time between two pings over a WebSocket.
    ping_every: Duration,
    /// How requests are answered.
    objectives: ServiceObjectives,
}

/// What is served to those who ask, and who is let in.
pub(crate) struct ApiServices {
    /// Runs GraphQL documents.
    pub(crate) graphql: GraphQl,
    /// Finds out who asks.
    pub(crate) gate: RequestGate,
    /// What REST works on.
    pub(crate) rest: RestState,
}

/// All routes. Without `served` only those that tell how the process is. What needs no login is counted by `limiter`.
pub(crate) fn router(
    config: &HttpConfig,
    served: Option<ApiServices>,
    readiness: Arc<ReadinessProbe>,
    metrics: Option<PrometheusHandle>,
    limiter: RateLimiter,
) -> Router {
    let (graphql, door, rest) = match served {
        Some(ApiServices { graphql, gate: door, rest }) => (Some(graphql), Some(door), Some(rest)),
        None => (None, None, None),
    };
    let edge = HttpState(Arc::new(HttpStateInner {
        rooms: rest.as_ref().map(|rest| Arc::clone(&rest.stores.rooms)),
        graphql,
        readiness,
        metrics,
        assets_dir: config.assets_dir.clone(),
        timeout: config.request_timeout(),
        gate: door.clone(),
        socket_permits: SocketPermits::new(config.max_sockets, config.max_sockets_per_client),
        max_message_bytes: config.max_body_bytes,
        ping_every: config.ping_every(),
        objectives: ServiceObjectives::default(),
    }));
    let mut asked = Router::new();
    let mut pages = Router::new()
        .route("/", get(landing::serve_landing_page))
        .route("/health", get(health::report_liveness))
        .route("/ready", get(health::report_readiness))
        .route("/slo", get(service_objectives::report_objectives))
        .route("/metrics", get(metrics::render_metrics));
    if let (Some(door), Some(rest)) = (door, rest) {
        let (rest, files) = rest::routes(rest, config.max_body_bytes);
        let guard = middleware::from_fn_with_state(door, request_gate::admit_request);
        let measure = middleware::from_fn_with_state(edge.objectives.clone(), service_objectives::measure_request);
        let graphql = Router::new()
            .route("/graphql", get(graphql_websocket::serve_graphql_get).post(graphql_handler::execute_post))
            .route("/together/{proposal_id}", get(shared_editing::open_room_socket))
            .layer(inflate::inflate_layer(InflatePolicy::UpTo(config.max_body_bytes)))
            .with_state(edge.clone());
        let memory = BodyMemory::new(config.max_body_memory_bytes);
        let memory = middleware::from_fn_with_state(memory, body_memory::limit_body_memory);
        asked = graphql.merge(rest);
        asked = asked.layer(memory).merge(files).layer(guard).layer(measure);
        pages = pages
            .route("/playground.js", get(playground::serve_start_script))
            .route("/assets/{file}", get(assets::serve_asset));
    }
    let pages = pages.with_state(edge).fallback(not_found);
    asked
        .merge(pages.layer(middleware::from_fn_with_state(limiter, request_gate::admit_public_request)))
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(cors_layer(config))
        .layer(middleware::from_fn_with_state(config.request_timeout() + TRANSFER_ALLOWANCE, enforce_request_timeout))
        .layer(TraceLayer::new_for_http().on_failure(()))
}

/// Answers that pages of other origins may read the headers of.
const EXPOSED_HEADERS: [HeaderName; 16] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    header::RETRY_AFTER,
    request_gate::CORRELATION_ID_HEADER,
    header::ETAG,
    header::LOCATION,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("accept-encoding"),
    rest::CONSISTENCY_TOKEN,
    rest::PREFERENCE_APPLIED,
    HeaderName::from_static("x-cache"),
];

/// Headers that pages of other origins may send.
const ALLOWED_HEADERS: [HeaderName; 16] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_DISPOSITION,
    header::CACHE_CONTROL,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    request_gate::TENANT_HEADER,
    request_gate::CORRELATION_ID_HEADER,
    request_gate::CAUSATION_ID_HEADER,
    HeaderName::from_static("idempotency-key"),
    rest::CONSISTENCY_TOKEN,
    rest::PREFER,
];

/// Lets pages of these origins ask; of none where none is named.
fn cors_layer(config: &HttpConfig) -> CorsLayer {
    let origins = config.cors_origins.split(',').filter_map(|origin| HeaderValue::from_str(origin.trim()).ok());
    let origins: Vec<_> = origins.filter(|origin| !origin.is_empty()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(ALLOWED_HEADERS)
        .expose_headers(EXPOSED_HEADERS)
        // `sendBeacon` always sends them, though nothing here goes by cookies.
        .allow_credentials(true)
        .max_age(Duration::from_mins(10))
}

/// Ends what takes too long; uploads have limits of their own, since they may take as long as they go on.
async fn enforce_request_timeout(State(most): State<Duration>, request: Request, next: Next) -> Response {
    if rest::is_upload_request(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let answer = tokio::time::timeout(most, next.run(request)).await;
    answer.unwrap_or_else(|_elapsed| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "nothing is served here\n")
}

/// A page that loads scripts and styles from this server only.
fn html_response(status: StatusCode, body: String) -> Response {
    const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                          font-src 'self' data:; frame-ancestors 'none'";
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, body).into_response()
}
