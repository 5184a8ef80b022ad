//! The HTTP routes and their middleware.

mod admission;
mod assets;
mod graphql_handler;
mod graphql_request;
mod graphql_websocket;
mod health;
mod landing;
mod metrics;
mod playground;
mod response_media_type;
mod service_objectives;
mod shared_editing;
mod socket_metrics;
#[cfg(test)]
mod tests;
mod unsubscribe;

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
use mail::UnsubscribeTokenSigner;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_http::cors::{AllowOrigin, CorsLayer};

pub use self::metrics::{install_recorder, metrics_route};
use self::service_objectives::ServiceObjectives;
use crate::{
    config::HttpConfig,
    graphql::GraphQl,
    http::{
        body_memory::{self, BodyMemory},
        inflate::{self, InflatePolicy},
        rate_limiter::RateLimiter,
        request_gate::{self, RequestGate},
        server_metrics,
        server_span::{self, ServerProtocol},
        socket_permits::SocketPermits,
    },
    readiness::ReadinessProbe,
    rest::{self, RestState},
};

/// Time allowed beyond a document's own limit for reading the request body and writing the response.
const TRANSFER_ALLOWANCE: Duration = Duration::from_secs(5);

/// State shared by the handlers. Cheap to clone; every request clones it.
#[derive(Clone)]
struct HttpState(Arc<HttpStateInner>);

impl std::ops::Deref for HttpState {
    type Target = HttpStateInner;

    fn deref(&self) -> &HttpStateInner {
        &self.0
    }
}

struct HttpStateInner {
    /// `None` if this process serves no API.
    graphql: Option<GraphQl>,
    readiness: Arc<ReadinessProbe>,
    metrics: Option<PrometheusHandle>,
    /// Folder with the playground's scripts.
    assets_dir: Option<PathBuf>,
    /// Time limit of a GraphQL document.
    timeout: Duration,
    /// `None` if this process serves no API.
    gate: Option<RequestGate>,
    /// Rooms of shared texts; `None` if this process serves no API.
    rooms: Option<Arc<RoomManager<PgEventStore<()>>>>,
    socket_permits: SocketPermits,
    /// Maximum length of a WebSocket message, in bytes.
    max_message_bytes: usize,
    /// Interval between two WebSocket pings.
    ping_every: Duration,
    objectives: ServiceObjectives,
}

/// Services of the API routes; a process without them serves only health, metrics and the landing page.
pub struct ApiServices {
    /// Executes GraphQL documents.
    pub graphql: GraphQl,
    /// Admits requests.
    pub gate: RequestGate,
    /// State of the REST routes.
    pub rest: RestState,
    /// Checks links to unsubscribe; without it there are none.
    pub unsubscribe_tokens: Option<UnsubscribeTokenSigner>,
}

/// Creates the router of all routes; without `services`, only of those that report on the process. `limiter` limits
/// requests that need no login.
pub fn router(
    config: &HttpConfig,
    services: Option<ApiServices>,
    readiness: Arc<ReadinessProbe>,
    metrics: Option<PrometheusHandle>,
    limiter: RateLimiter,
) -> Router {
    let (graphql, gate, rest, unsubscribe_tokens) = match services {
        Some(ApiServices { graphql, gate, rest, unsubscribe_tokens }) => {
            (Some(graphql), Some(gate), Some(rest), unsubscribe_tokens)
        }
        None => (None, None, None, None),
    };
    let state = HttpState(Arc::new(HttpStateInner {
        rooms: rest.as_ref().map(|rest| Arc::clone(&rest.app.rooms)),
        graphql,
        readiness,
        metrics,
        assets_dir: config.assets_dir.clone(),
        timeout: config.request_timeout(),
        gate: gate.clone(),
        socket_permits: SocketPermits::new(config.max_sockets, config.max_sockets_per_client),
        max_message_bytes: config.max_body_bytes,
        ping_every: config.ping_every(),
        objectives: ServiceObjectives::default(),
    }));
    let mut api_routes = Router::new();
    let mut public_routes = Router::new()
        .route("/", get(landing::serve_landing_page))
        .route("/health", get(health::report_liveness))
        .route("/ready", get(health::report_readiness))
        .route("/slo", get(service_objectives::report_objectives))
        .route("/metrics", get(metrics::render_metrics));
    if let (Some(gate), Some(rest)) = (gate, rest) {
        if let Some(tokens) = unsubscribe_tokens {
            let (queue, dispatcher) = (rest.app.mail_queue.clone(), Arc::clone(&rest.app.dispatcher));
            public_routes = public_routes.merge(unsubscribe::unsubscribe_routes(tokens, queue, dispatcher));
        }
        let (rest, files) = rest::routes(rest, config.max_body_bytes);
        let reads = middleware::from_fn_with_state(gate.clone(), admission::admit_read);
        let guard = middleware::from_fn_with_state(gate, admission::admit_request);
        let measure = middleware::from_fn_with_state(state.objectives.clone(), service_objectives::measure_request);
        let memory = BodyMemory::new(config.max_body_memory_bytes);
        let memory = middleware::from_fn_with_state(memory, body_memory::limit_body_memory);
        let inflate = inflate::inflate_layer(InflatePolicy::UpTo(config.max_body_bytes));
        // In one call for each group of routes: every call of `layer` adds a service that is copied with all inside of it, for
        // each request and for each middleware around it. The first one of a tuple is the outermost.
        let graphql = Router::new()
            .route("/graphql", get(graphql_websocket::serve_graphql_get).post(graphql_handler::execute_post))
            .route("/together/{proposal_id}", get(shared_editing::open_room_socket))
            .layer((measure.clone(), guard.clone(), memory.clone(), inflate))
            .with_state(state.clone());
        let rest = rest.layer((measure.clone(), guard.clone(), memory, reads.clone()));
        api_routes = graphql.merge(rest).merge(files.layer((measure, guard, reads)));
        public_routes = public_routes
            .route("/playground.js", get(playground::serve_start_script))
            .route("/assets/{file}", get(assets::serve_asset));
    }
    let public_routes = public_routes.with_state(state).fallback(not_found);
    let public_guard = middleware::from_fn_with_state(limiter, admission::admit_public_request);
    let routes = api_routes.merge(public_routes.layer(public_guard));
    // Without origins there is nothing to allow, and every response would say so in some 380 bytes.
    let routes = match cors_layer(config) {
        Some(cors) => routes.layer(cors),
        None => routes,
    };
    let time_limit = config.request_timeout() + TRANSFER_ALLOWANCE;
    routes.layer((
        server_span::server_span_layer(ServerProtocol::Http),
        middleware::from_fn(server_metrics::measure_http_request),
        middleware::from_fn_with_state(time_limit, enforce_request_timeout),
        DefaultBodyLimit::max(config.max_body_bytes),
    ))
}

/// Response headers that pages of other origins may read.
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

/// Request headers that pages of other origins may send.
const ALLOWED_HEADERS: [HeaderName; 17] = [
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
    server_span::TRACEPARENT_HEADER,
    HeaderName::from_static("idempotency-key"),
    rest::CONSISTENCY_TOKEN,
    rest::PREFER,
];

/// Allows requests from pages of the configured origins; `None` without any, since browsers then refuse all by themselves.
fn cors_layer(config: &HttpConfig) -> Option<CorsLayer> {
    let origins = config.cors_origins.split(',').filter_map(|origin| HeaderValue::from_str(origin.trim()).ok());
    let origins: Vec<_> = origins.filter(|origin| !origin.is_empty()).collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(ALLOWED_HEADERS)
        .expose_headers(EXPOSED_HEADERS)
        // `sendBeacon` always sends credentials, although nothing here uses cookies.
        .allow_credentials(true)
        .max_age(Duration::from_mins(10));
    Some(layer)
}

/// Ends requests that take too long with 503. Uploads have their own limits: they may last while data arrives.
async fn enforce_request_timeout(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    if rest::is_upload_request(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let result = tokio::time::timeout(limit, next.run(request)).await;
    result.unwrap_or_else(|_elapsed| StatusCode::SERVICE_UNAVAILABLE.into_response())
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "there is no such path\n")
}

/// Responds with an HTML page whose content security policy allows scripts and styles from this server only.
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
