//! A collector of OpenTelemetry: takes traces by OTLP, as Protobuf by HTTP, and keeps them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::failure::or_fail;

/// A span that the collector has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectedSpan {
    /// The service that sent it.
    pub service: String,
    /// The trace, in hexadecimal digits.
    pub trace_id: String,
    /// The span's id, in hexadecimal digits.
    pub span_id: String,
    /// The id of its parent; empty for the first span of a trace.
    pub parent_id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SpanKind,
    /// Its attributes, with numbers in decimal.
    pub attributes: BTreeMap<String, String>,
    /// Whether it failed.
    pub is_error: bool,
}

/// A running collector.
#[derive(Debug)]
pub struct TraceCollector {
    url: String,
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
    server: JoinHandle<()>,
}

impl TraceCollector {
    /// Starts a collector on a free port.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start() -> Self {
        let spans = Arc::new(Mutex::new(vec![]));
        let routes = Router::new().route("/v1/traces", post(take_spans)).with_state(Arc::clone(&spans));
        let listener = or_fail(TcpListener::bind("127.0.0.1:0").await, "listening as a collector of traces");
        let address = or_fail(listener.local_addr(), "asking for the collector's address");
        let server = tokio::spawn(async move { or_fail(axum::serve(listener, routes).await, "collecting traces") });
        Self { url: format!("http://{address}"), spans, server }
    }

    /// The settings by which the product sends its traces here, soon.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*self.url), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// The spans of a trace that were received so far, in their order.
    pub fn spans_of(&self, trace_id: &str) -> Vec<CollectedSpan> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }
}

impl Drop for TraceCollector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn take_spans(
    State(spans): State<Arc<Mutex<Vec<CollectedSpan>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<([(header::HeaderName, &'static str); 1], Vec<u8>), StatusCode> {
    const PROTOBUF: &str = "application/x-protobuf";
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != PROTOBUF) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let request = ExportTraceServiceRequest::decode(body).map_err(|_error| StatusCode::BAD_REQUEST)?;
    let mut received = vec![];
    for of_resource in request.resource_spans {
        let resource = attributes_by_name(&of_resource.resource.unwrap_or_default().attributes);
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let of_scopes = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        received.extend(of_scopes.map(|span| to_collected(&service, &span)));
    }
    spans.lock().unwrap_or_else(PoisonError::into_inner).extend(received);
    Ok(([(header::CONTENT_TYPE, PROTOBUF)], ExportTraceServiceResponse::default().encode_to_vec()))
}

fn to_collected(service: &str, span: &Span) -> CollectedSpan {
    const STATUS_ERROR: i32 = 2;
    CollectedSpan {
        service: service.to_owned(),
        trace_id: to_hex(&span.trace_id),
        span_id: to_hex(&span.span_id),
        parent_id: to_hex(&span.parent_span_id),
        name: span.name.clone(),
        kind: span.kind(),
        attributes: attributes_by_name(&span.attributes),
        is_error: span.status.as_ref().is_some_and(|status| status.code == STATUS_ERROR),
    }
}

fn attributes_by_name(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let texts = attributes.iter().map(|attribute| {
        let text = match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key.clone(), text)
    });
    texts.collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}
