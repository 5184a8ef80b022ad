//! The span of a request: part of its client's trace if the request names one.

use std::time::Duration;

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, Response},
};
use telemetry::SPAN_TARGET;
use tower_http::{
    classify::{ServerErrorsAsFailures, SharedClassifier},
    trace::{MakeSpan, OnResponse, TraceLayer},
};
use tracing::{Span, field::Empty};

/// The header of the trace that a request is part of.
pub(crate) const TRACEPARENT_HEADER: HeaderName = HeaderName::from_static("traceparent");

/// Paths that are called all the time, and that nobody looks for in a trace.
const UNTRACED_PATHS: [&str; 5] = ["/health", "/ready", "/metrics", "/slo", "/grpc.health.v1.Health/"];

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
        if UNTRACED_PATHS.iter().any(|untraced| path.starts_with(untraced)) {
            return Span::none();
        }
        let span = match *self {
            Self::Http => {
                // The path itself is no attribute: some have ids of objects of tenants.
                let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
                tracing::info_span!(
                    target: SPAN_TARGET,
                    "request",
                    otel.name = format_args!("{} {route}", request.method()),
                    otel.kind = "server",
                    otel.status_code = Empty,
                    http.request.method = request.method().as_str(),
                    http.route = route,
                    http.response.status_code = Empty,
                    medhub.correlation_id = Empty,
                    medhub.tenant_id = Empty,
                )
            }
            Self::Grpc => {
                let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
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
