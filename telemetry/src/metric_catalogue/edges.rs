//! Rate, errors and durations of every edge.

use super::{MetricGroup, counter, gauge, histogram};

pub(super) const REQUESTS: MetricGroup = MetricGroup {
    title: "Requests",
    metrics: &[
        histogram(
            "http_server_request_duration_seconds",
            &["http_request_method", "http_route", "http_response_status_code"],
            "Time until the response to an HTTP request begins: GraphQL, REST, `/ingest`, upgrades to WebSockets, and the schema \
             registry. Status 499: the client has gone before. Without `/health`, `/ready`, `/metrics` and `/slo`",
        ),
        gauge("http_server_active_requests", &["http_request_method"], "HTTP requests whose response has not begun"),
        gauge(
            "medhub_requests_running",
            &["priority"],
            "Requests that are worked on. `priority`: `command`, `query` or `batch`",
        ),
        counter(
            "medhub_requests_shed_total",
            &["priority"],
            "Requests that were refused because too many were worked on. `priority`: as above",
        ),
        counter(
            "medhub_consistency_waits_refused_total",
            &["projection"],
            "Queries that were answered at once that the read model is behind their consistency token, because too many wait already",
        ),
        gauge("medhub_connections_open", &["edge"], "Connections that are open"),
        counter(
            "medhub_connections_refused_total",
            &["edge", "reason"],
            "Connections that were refused by a limit. `reason`: `total`, of all; `address`, of one client",
        ),
        counter(
            "medhub_connections_timed_out_total",
            &["edge", "reason"],
            "Connections that were closed because something did not come in time. `reason`: `handshake`, `header` or `idle`",
        ),
        histogram(
            "rpc_server_call_duration_seconds",
            &["rpc_method", "rpc_response_status_code"],
            "Time until the response to a gRPC call begins; `rpc_method` is `service/method`, or `_OTHER` for a call \
             that is not served. `CANCELLED`: the client has gone before. A \
             stream that fails after its first message counts as `OK`",
        ),
        histogram(
            "medhub_graphql_operation_duration_seconds",
            &["graphql_operation_type", "outcome"],
            "Time to execute a GraphQL query or mutation, by HTTP or WebSocket. `outcome`: `ok`; `refused`, with an error that the client \
             can correct; `failed`, with one that it cannot, such as the time limit over a WebSocket; `shed`, not executed because too \
             many requests were worked on, over a WebSocket only: over HTTP the status is 503; `cancelled`, by its client, or by the \
             time limit over HTTP, whose status is 503",
        ),
        counter(
            "medhub_graphql_refused_documents_total",
            &[],
            "GraphQL documents that were not executed: invalid, unknown or too costly",
        ),
        gauge("medhub_graphql_subscriptions", &[], "GraphQL subscriptions that are open"),
        gauge(
            "medhub_websockets",
            &["protocol"],
            "WebSockets that are open. `protocol`: `graphql` or `shared_editing`",
        ),
        histogram(
            "medhub_websocket_duration_seconds",
            &["protocol", "outcome"],
            "Time that a WebSocket was open. `outcome`: `client`, closed by the client; `server`, closed by this process, which told \
             the client why",
        ),
    ],
};

pub(super) const INGEST: MetricGroup = MetricGroup {
    title: "Ingest",
    metrics: &[
        counter(
            "medhub_ingest_events_total",
            &["outcome"],
            "Views and clicks that were sent to `/ingest`. `outcome`: `recorded`; `known`, recorded before; `visit_full`; `invalid`; \
             `buffer_full`; `stopping`; `failed`, the append failed",
        ),
        gauge("medhub_ingest_buffer_events", &[], "Events in the buffer of `/ingest`, weighted by their size"),
        gauge("medhub_ingest_buffer_limit_events", &[], "Events that the buffer of `/ingest` has room for"),
        histogram(
            "medhub_ingest_append_duration_seconds",
            &["outcome"],
            "Time to append a batch of the buffer: `recorded` or `failed`",
        ),
    ],
};
