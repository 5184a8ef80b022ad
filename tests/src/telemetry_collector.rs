//! A collector of OpenTelemetry: takes traces, metrics and logs by OTLP, as Protobuf by HTTP, and keeps them.

mod collected_log_record;
mod collected_series;
mod collected_span;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::{
        logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse},
        metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse},
        trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    },
    common::v1::{AnyValue, KeyValue, any_value::Value},
    resource::v1::Resource,
};
use prost::Message;
use tokio::{net::TcpListener, task::JoinHandle};

pub use self::{collected_log_record::CollectedLogRecord, collected_span::CollectedSpan};
use crate::{failure::or_fail, metric_table::ShownSeries};

const PROTOBUF: &str = "application/x-protobuf";

/// What a collector has received.
#[derive(Debug, Default)]
struct CollectedTelemetry {
    spans: Mutex<Vec<CollectedSpan>>,
    log_records: Mutex<Vec<CollectedLogRecord>>,
    /// The last export of each process, by its id.
    series: Mutex<BTreeMap<String, Vec<ShownSeries>>>,
}

/// A running collector.
#[derive(Debug)]
pub struct TelemetryCollector {
    url: String,
    collected: Arc<CollectedTelemetry>,
    server: JoinHandle<()>,
}

impl TelemetryCollector {
    /// Starts a collector on a free port.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start() -> Self {
        let collected = Arc::new(CollectedTelemetry::default());
        let routes = Router::new()
            .route("/v1/traces", post(take_spans))
            .route("/v1/metrics", post(take_metrics))
            .route("/v1/logs", post(take_log_records))
            .with_state(Arc::clone(&collected));
        let listener = or_fail(TcpListener::bind("127.0.0.1:0").await, "listening as a collector of telemetry");
        let address = or_fail(listener.local_addr(), "asking for the collector's address");
        let server = tokio::spawn(async move { or_fail(axum::serve(listener, routes).await, "collecting telemetry") });
        Self { url: format!("http://{address}"), collected, server }
    }

    /// The settings by which the product sends its traces here, soon, and its metrics and its log after a while.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*self.url), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
        settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// The spans of a trace that were received so far, in their order.
    pub fn spans_of(&self, trace_id: &str) -> Vec<CollectedSpan> {
        lock(&self.collected.spans).iter().filter(|span| span.trace_id == trace_id).cloned().collect()
    }

    /// The lines of the log that were received so far, in their order.
    pub fn log_records(&self) -> Vec<CollectedLogRecord> {
        lock(&self.collected.log_records).clone()
    }

    /// The metrics that each process has exported last, in the form in which `/metrics` shows them.
    pub fn series(&self) -> Vec<ShownSeries> {
        lock(&self.collected.series).values().flatten().cloned().collect()
    }
}

impl Drop for TelemetryCollector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type CollectorAnswer = Result<([(header::HeaderName, &'static str); 1], Vec<u8>), StatusCode>;

async fn take_spans(
    State(collected): State<Arc<CollectedTelemetry>>,
    headers: HeaderMap,
    body: Bytes,
) -> CollectorAnswer {
    let request: ExportTraceServiceRequest = decode(&headers, body)?;
    for of_resource in request.resource_spans {
        let service = attribute(of_resource.resource, "service.name");
        let spans = of_resource.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        lock(&collected.spans).extend(spans.map(|span| CollectedSpan::read(&service, &span)));
    }
    Ok(encode(&ExportTraceServiceResponse::default()))
}

async fn take_metrics(
    State(collected): State<Arc<CollectedTelemetry>>,
    headers: HeaderMap,
    body: Bytes,
) -> CollectorAnswer {
    let request: ExportMetricsServiceRequest = decode(&headers, body)?;
    for of_resource in request.resource_metrics {
        let process = attribute(of_resource.resource, "service.instance.id");
        let metrics = of_resource.scope_metrics.into_iter().flat_map(|of_scope| of_scope.metrics);
        let series = metrics.flat_map(|metric| collected_series::read_series(&metric)).collect();
        lock(&collected.series).insert(process, series);
    }
    Ok(encode(&ExportMetricsServiceResponse::default()))
}

async fn take_log_records(
    State(collected): State<Arc<CollectedTelemetry>>,
    headers: HeaderMap,
    body: Bytes,
) -> CollectorAnswer {
    let request: ExportLogsServiceRequest = decode(&headers, body)?;
    for of_resource in request.resource_logs {
        let service = attribute(of_resource.resource, "service.name");
        for of_scope in of_resource.scope_logs {
            let target = of_scope.scope.unwrap_or_default().name;
            let records = of_scope.log_records.iter();
            lock(&collected.log_records)
                .extend(records.map(|record| CollectedLogRecord::read(&service, &target, record)));
        }
    }
    Ok(encode(&ExportLogsServiceResponse::default()))
}

fn decode<M: Message + Default>(headers: &HeaderMap, body: Bytes) -> Result<M, StatusCode> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind != PROTOBUF) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    M::decode(body).map_err(|_error| StatusCode::BAD_REQUEST)
}

fn encode(answer: &impl Message) -> ([(header::HeaderName, &'static str); 1], Vec<u8>) {
    ([(header::CONTENT_TYPE, PROTOBUF)], answer.encode_to_vec())
}

/// An attribute of a process; empty without it.
fn attribute(resource: Option<Resource>, name: &str) -> String {
    attributes_by_name(&resource.unwrap_or_default().attributes).remove(name).unwrap_or_default()
}

fn attributes_by_name(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|attribute| (attribute.key.clone(), value_text(attribute.value.as_ref()))).collect()
}

/// A value as text, with numbers in decimal.
fn value_text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| digits + &format!("{byte:02x}"))
}

fn lock<T>(collected: &Mutex<T>) -> MutexGuard<'_, T> {
    collected.lock().unwrap_or_else(PoisonError::into_inner)
}
