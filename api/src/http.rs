//! The HTTP edge: routes, limits and nothing else.

pub(crate) mod address;
mod answer_type;
mod assets;
pub(crate) mod body_memory;
pub(crate) mod connection;
pub(crate) mod door;
mod execute;
mod graphql_request;
mod health;
pub(crate) mod inflate;
mod json_bounds;
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
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use collaboration::Rooms;
use eventstore::store::PgStore;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::{
    cors::{AllowOrigin, CorsLayer},
    trace::TraceLayer,
};

pub use self::metrics::keep as keep_metrics;
pub(crate) use self::socket::places::SocketPlace;
use self::{
    body_memory::BodyMemory, door::Door, inflate::Inflation, limiter::Limiter, objectives::Objectives,
    socket::places::SocketPlaces,
};
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
    /// Places for `WebSocket`s.
    sockets: SocketPlaces,
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

/// All routes. Without `served` only those that tell how the process is. What needs no login is counted by `limiter`.
pub(crate) fn router(
    config: &HttpConfig,
    served: Option<Served>,
    readiness: Arc<Readiness>,
    metrics: Option<PrometheusHandle>,
    limiter: Limiter,
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
        sockets: SocketPlaces::new(config.max_sockets, config.max_sockets_per_client),
        max_message_bytes: config.max_body_bytes,
        ping_every: config.ping_every(),
        objectives: Objectives::default(),
    }));
    let mut asked = Router::new();
    let mut pages = Router::new()
        .route("/", get(landing::page))
        .route("/health", get(health::alive))
        .route("/ready", get(health::ready))
        .route("/slo", get(objectives::report))
        .route("/metrics", get(metrics::text));
    if let (Some(door), Some(rest)) = (door, rest) {
        let (rest, files) = rest::routes(rest, config.max_body_bytes);
        let guard = middleware::from_fn_with_state(door, door::guard);
        let measure = middleware::from_fn_with_state(edge.objectives.clone(), objectives::measure);
        let graphql = Router::new()
            .route("/graphql", get(socket::or_document_in_url).post(execute::document))
            .route("/together/{proposal_id}", get(together::open))
            .layer(inflate::layer(Inflation::UpTo(config.max_body_bytes)))
            .with_state(edge.clone());
        let memory = BodyMemory::new(config.max_body_memory_bytes);
        let memory = middleware::from_fn_with_state(memory, body_memory::share);
        asked = graphql.merge(rest);
        asked = asked.layer(memory).merge(files).layer(guard).layer(measure);
        pages = pages.route("/playground.js", get(playground::script)).route("/assets/{file}", get(assets::file));
    }
    let pages = pages.with_state(edge).fallback(not_found);
    asked
        .merge(pages.layer(middleware::from_fn_with_state(limiter, door::guard_pages)))
        .layer(DefaultBodyLimit::max(config.max_body_bytes))
        .layer(cors(config))
        .layer(middleware::from_fn_with_state(config.request_timeout() + TRANSFER, limit_time))
        .layer(TraceLayer::new_for_http().on_failure(()))
}

/// Answers that pages of other origins may read the headers of.
const TOLD: [HeaderName; 16] = [
    HeaderName::from_static("ratelimit-limit"),
    HeaderName::from_static("ratelimit-remaining"),
    HeaderName::from_static("ratelimit-reset"),
    header::RETRY_AFTER,
    door::CORRELATION,
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
const TAKEN: [HeaderName; 16] = [
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
    door::TENANT,
    door::CORRELATION,
    door::CAUSATION,
    HeaderName::from_static("idempotency-key"),
    rest::CONSISTENCY_TOKEN,
    rest::PREFER,
];

/// Lets pages of these origins ask; of none where none is named.
fn cors(config: &HttpConfig) -> CorsLayer {
    let origins = config.cors_origins.split(',').filter_map(|origin| HeaderValue::from_str(origin.trim()).ok());
    let origins: Vec<_> = origins.filter(|origin| !origin.is_empty()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(TAKEN)
        .expose_headers(TOLD)
        // `sendBeacon` always sends them, though nothing here goes by cookies.
        .allow_credentials(true)
        .max_age(Duration::from_mins(10))
}

/// Ends what takes too long; uploads have limits of their own, since they may take as long as they go on.
async fn limit_time(State(most): State<Duration>, request: Request, next: Next) -> Response {
    if rest::is_upload(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let answer = tokio::time::timeout(most, next.run(request)).await;
    answer.unwrap_or_else(|_elapsed| StatusCode::SERVICE_UNAVAILABLE.into_response())
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
