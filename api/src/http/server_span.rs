//! The span of a request: part of its client's trace if the request names one.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, Method, Response},
};
use telemetry::SPAN_TARGET;
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{MakeSpan, OnResponse, TraceLayer},
};
use tracing::{Span, field::Empty};

/// The header of the trace that a request is part of.
pub(crate) const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// Paths that are called constantly and are of no interest in traces.
const UNTRACED_PATHS: [&str; 5] = ["/health", "/ready", "/metrics", "/slo", "/ingest"];

/// The same of gRPC.
pub(super) const UNTRACED_SERVICE: &str = "/grpc.health.v1.Health/";

/// What OpenTelemetry's conventions name a method that the server does not know.
const OTHER: &str = "_OTHER";

/// The longest name of a gRPC method that a span has.
const MAX_RPC_METHOD_BYTES: usize = 64;

/// Which protocol the requests of an edge have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerProtocol {
    /// GraphQL, REST and pages.
    Http,
    /// gRPC: the path is `/<service>/<method>`.
    Grpc,
}

/// Middleware that gives each request its span.
pub(crate) type ServerSpanLayer =
    TraceLayer<SharedClassifier<ServerErrorsAsFailures>, ServerProtocol, (), StatusRecorder, (), (), ()>;

/// Creates the middleware. It has to be outside of every other.
pub(crate) fn server_span_layer(protocol: ServerProtocol) -> ServerSpanLayer {
    TraceLayer::new_for_http()
        .make_span_with(protocol)
        .on_request(())
        .on_response(StatusRecorder)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(())
}

impl MakeSpan<axum::body::Body> for ServerProtocol {
    fn make_span(&mut self, request: &Request) -> Span {
        let path = request.uri().path();
        if UNTRACED_PATHS.contains(&path) || path.starts_with(UNTRACED_SERVICE) {
            return Span::none();
        }
        // Values that clients choose freely are no attributes: paths, which may contain ids of tenants' objects, and
        // unknown methods and services.
        let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let span = match *self {
            Self::Http => {
                let method = known_method(request.method());
                tracing::info_span!(
                    target: SPAN_TARGET,
                    "request",
                    otel.name = format_args!("{method} {route}"),
                    otel.kind = "server",
                    otel.status_code = Empty,
                    http.request.method = method,
                    http.route = route,
                    http.response.status_code = Empty,
                    medhub.correlation_id = Empty,
                    medhub.tenant_id = Empty,
                )
            }
            Self::Grpc => {
                let (service, method) = known_call(route, path);
                tracing::info_span!(
                    target: SPAN_TARGET,
                    "call",
                    otel.name = format_args!("{service}/{method}"),
                    otel.kind = "server",
                    otel.status_code = Empty,
                    rpc.system = "grpc",
                    rpc.service = service,
                    rpc.method = method,
                    http.response.status_code = Empty,
                    medhub.correlation_id = Empty,
                    medhub.tenant_id = Empty,
                )
            }
        };
        let traceparent = request.headers().get(TRACEPARENT_HEADER).and_then(|value| value.to_str().ok());
        telemetry::continue_trace(&span, traceparent);
        span
    }
}

/// The name of a method in spans and metrics.
pub(super) fn known_method(method: &Method) -> &'static str {
    let known = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

/// The service and method of a call with this path. A service is known by its route, `/<service>/{*rest}`.
fn known_call<'a>(route: &str, path: &'a str) -> (&'a str, &'a str) {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return (OTHER, OTHER) };
    if route.trim_start_matches('/').split('/').next() != Some(service) {
        return (OTHER, OTHER);
    }
    let is_name = method.len() <= MAX_RPC_METHOD_BYTES && method.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (service, if is_name { method } else { OTHER })
}

/// Records the status of the response in its span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StatusRecorder;

impl<B> OnResponse<B> for StatusRecorder {
    fn on_response(self, response: &Response<B>, _latency: Duration, span: &Span) {
        span.record("http.response.status_code", i64::from(response.status().as_u16()));
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_choose_are_in_no_span() {
        assert_eq!(known_method(&Method::POST), "POST");
        assert_eq!(known_method(&Method::from_bytes(b"ADA").unwrap()), OTHER);
        let route = "/medhub.v1.Tasks/{*rest}";
        assert_eq!(known_call(route, "/medhub.v1.Tasks/Claim"), ("medhub.v1.Tasks", "Claim"));
        assert_eq!(known_call(route, "/medhub.v1.Tasks/ada@example.com"), ("medhub.v1.Tasks", OTHER));
        assert_eq!(known_call(route, &format!("/medhub.v1.Tasks/{}", "a".repeat(65))), ("medhub.v1.Tasks", OTHER));
        for path in ["/ada", "/ada/Claim", "//Claim", ""] {
            assert_eq!(known_call("", path), (OTHER, OTHER), "{path}");
        }
    }
}
