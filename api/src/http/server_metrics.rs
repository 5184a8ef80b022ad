//! Rate, errors and durations of requests, measured outside of all other middleware.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use metrics::{Gauge, gauge, histogram};

use super::server_span::{UNTRACED_SERVICE, known_method};

/// Paths that are called all the time, by probes and by Prometheus.
const UNMEASURED_PATHS: [&str; 4] = ["/health", "/ready", "/metrics", "/slo"];

/// The route of a path that no route matches, and the method of a gRPC call that is not served.
const NO_ROUTE: &str = "_OTHER";

/// The gRPC calls that are served, as `service/method`. Any other path is the client's own text and no label.
pub(crate) type ServedCalls = BTreeSet<String>;

/// The status of a request whose client has gone before the response began.
const CLIENT_GONE: u16 = 499;

/// The names of gRPC's status codes, by number.
const RPC_STATUS_NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Measures an HTTP request until its response begins. If dropped before that, it counts as a request whose client has
/// disconnected.
struct HttpMeasurement {
    method: &'static str,
    route: String,
    status: u16,
    started: Instant,
    active: Gauge,
}

impl HttpMeasurement {
    fn start(request: &Request) -> Self {
        let method = known_method(request.method());
        let route = request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).to_owned();
        let active = gauge!("http_server_active_requests", "http_request_method" => method);
        active.increment(1.0);
        Self { method, route, status: CLIENT_GONE, started: Instant::now(), active }
    }
}

impl Drop for HttpMeasurement {
    fn drop(&mut self) {
        self.active.decrement(1.0);
        histogram!(
            "http_server_request_duration_seconds",
            "http_request_method" => self.method,
            "http_route" => std::mem::take(&mut self.route),
            "http_response_status_code" => self.status.to_string(),
        )
        .record(self.started.elapsed());
    }
}

/// Middleware of HTTP.
pub async fn measure_http_request(request: Request, next: Next) -> Response {
    if UNMEASURED_PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let mut measurement = HttpMeasurement::start(&request);
    let response = next.run(request).await;
    measurement.status = response.status().as_u16();
    response
}

/// Measures a gRPC call until its response begins.
struct RpcMeasurement {
    method: String,
    status: &'static str,
    started: Instant,
}

impl Drop for RpcMeasurement {
    fn drop(&mut self) {
        histogram!(
            "rpc_server_call_duration_seconds",
            "rpc_method" => std::mem::take(&mut self.method),
            "rpc_response_status_code" => self.status,
        )
        .record(self.started.elapsed());
    }
}

/// Middleware of gRPC. The health service is left out: probes call it all the time.
pub(crate) async fn measure_rpc(State(calls): State<Arc<ServedCalls>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with(UNTRACED_SERVICE) {
        return next.run(request).await;
    }
    let method = served_call(&calls, path).to_owned();
    let mut measurement = RpcMeasurement { method, status: "CANCELLED", started: Instant::now() };
    let response = next.run(request).await;
    measurement.status = rpc_status(&response);
    response
}

/// The name of the call with this path.
fn served_call<'a>(calls: &'a ServedCalls, path: &str) -> &'a str {
    path.strip_prefix('/').and_then(|call| calls.get(call)).map_or(NO_ROUTE, String::as_str)
}

/// The status of a call. A call that fails has it in the header. A call that succeeds has it after its last message; so
/// does a stream that fails after its first message, which counts as `OK`.
fn rpc_status(response: &Response) -> &'static str {
    let Some(value) = response.headers().get("grpc-status") else {
        return if response.status().is_success() { "OK" } else { "UNKNOWN" };
    };
    let number = value.to_str().ok().and_then(|text| text.parse::<usize>().ok());
    number.and_then(|number| RPC_STATUS_NAMES.get(number).copied()).unwrap_or("UNKNOWN")
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Response};

    use super::*;

    #[test]
    fn a_call_that_is_not_served_has_no_name() {
        let calls = ServedCalls::from(["medhub.tasks.v1.TaskService/ListTasks".to_owned()]);
        let named = served_call(&calls, "/medhub.tasks.v1.TaskService/ListTasks");
        assert_eq!(named, "medhub.tasks.v1.TaskService/ListTasks");
        for path in ["/medhub.tasks.v1.TaskService/Anything", "/medhub.tasks.v1.TaskService/", "/", "", "/ada"] {
            assert_eq!(served_call(&calls, path), NO_ROUTE, "{path}");
        }
    }

    #[test]
    fn the_status_of_a_call_is_read_from_its_header() {
        let status = |status: u16, header: Option<&str>| {
            let mut response = Response::builder().status(status);
            if let Some(header) = header {
                response = response.header("grpc-status", header);
            }
            rpc_status(&response.body(Body::empty()).unwrap())
        };
        assert_eq!((status(200, None), status(200, Some("0"))), ("OK", "OK"));
        assert_eq!((status(200, Some("5")), status(200, Some("16"))), ("NOT_FOUND", "UNAUTHENTICATED"));
        assert_eq!((status(200, Some("17")), status(404, None)), ("UNKNOWN", "UNKNOWN"));
    }
}
