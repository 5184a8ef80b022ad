//! The handler of `/ingest`: records the valid events and lists the refused ones.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::visit::VisitStep;
use domain::clock::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    EnqueueError, EnqueuedRequest, IngestService,
    ingest_body::{self, BodyError},
    ingest_event::{EventReporter, IngestEvent, TimeWindow},
    ingest_metrics,
    raw_event::{InvalidEventField, RawEvents},
};
use crate::{
    auth::Principal,
    http::{
        problem::{Problem, RefusedItem},
        request_gate::{self, RequestMeter},
    },
    rest::{
        RestState,
        extractors::{PREFERENCE_APPLIED, invalid_field, prefers},
    },
    tenant_commands::CommandFailure,
};

/// Seconds until a refused client may retry: by then a full buffer is written.
const RETRY_AFTER_S: u64 = 1;

/// One event, or a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `RawEvents` reads")]
pub(in crate::rest) enum IngestRequest {
    /// A batch, in order.
    Batch {
        /// The events.
        events: Vec<IngestEvent>,
    },
    /// A single event.
    Single(IngestEvent),
}

/// Result of an ingest request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ingested)]
pub(in crate::rest) struct IngestResponse {
    /// Number of accepted events, including those that were recorded before.
    accepted: usize,
    /// The refused events, in order; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedItem>,
}

/// Records views and clicks. Events that are sent again are not counted again. Invalid events are listed by index,
/// field and reason, and do not prevent the others from being recorded; if none is valid, the answer is 400.
#[utoipa::path(post, path = "/ingest", tag = "analytics", request_body = IngestRequest,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: answer before the events are recorded")),
    responses((status = 200, description = "Recorded, except refused events", body = IngestResponse),
    (status = 202, description = "Buffered: lost if the process is killed or the append fails", body = IngestResponse),
    (status = 400, description = "None of the events is valid", body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 429, description = "The buffer is full, or too many requests", body = Problem),
    (status = 503, description = "Not all are recorded: send them again with the same `id` or `at`", body = Problem)))]
pub(in crate::rest) async fn ingest_events(
    State(rest): State<Arc<RestState>>,
    Extension(identity): Extension<Principal>,
    Extension(meter): Extension<RequestMeter>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let ingest = &rest.ingest;
    let reporter = EventReporter::from_principal(&identity)?;
    let request = match ingest.read_request(&headers, body).await {
        Ok(request) => request,
        Err(BodyError::Refused(problem)) => return Err(problem),
        Err(BodyError::Busy) => return Ok(buffer_full_response()),
    };
    if let Err(refusal) = meter.charge_events(request.count).await {
        return Ok(request_gate::admission_problem(&refusal));
    }
    let is_batch = request.is_batch;
    let (steps, mut refused) = ingest.validate_events(request, &reporter);
    let mut accepted = steps.len();
    ingest_metrics::count_events("invalid", refused.len());
    if accepted == 0 {
        return Err(all_refused_problem(refused, is_batch));
    }
    let pending = match ingest.enqueue(&reporter.tenant, steps, prefers(&headers, "respond-async")) {
        Ok(EnqueuedRequest::Pending(pending)) => pending,
        Ok(EnqueuedRequest::Acknowledged) => {
            let applied = [(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"))];
            return Ok((StatusCode::ACCEPTED, applied, Json(IngestResponse { accepted, refused })).into_response());
        }
        Err(EnqueueError::BufferFull) => {
            ingest_metrics::count_events("buffer_full", accepted);
            return Ok(buffer_full_response());
        }
        Err(EnqueueError::Stopping) => {
            ingest_metrics::count_events("stopping", accepted);
            return Ok(stopping_response());
        }
    };
    let Some(full) = pending.wait_for_outcome().await else { return Err(CommandFailure::Unavailable.into()) };
    if !full.is_empty() {
        accepted -= full.len();
        let reason = format!("the visit already has {} events; use another `sessionId`", ingest.config.visit_events);
        refused.extend(full.into_iter().map(|index| RefusedItem::new(index, "sessionId", &reason)));
        refused.sort_by_key(RefusedItem::index);
        if accepted == 0 {
            return Err(all_refused_problem(refused, is_batch));
        }
    }
    Ok((StatusCode::OK, Json(IngestResponse { accepted, refused })).into_response())
}

impl IngestService {
    /// Returns the maximum length of a body, in bytes.
    pub(in crate::rest) fn max_body_bytes(&self) -> usize {
        self.config.request_events.saturating_mul(super::MAX_EVENT_BYTES)
    }

    async fn read_request(&self, headers: &HeaderMap, body: Body) -> Result<RawEvents, BodyError> {
        if !ingest_body::is_json_or_text(headers) {
            let reason = "the body is expected as `Content-Type: application/json`";
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_INPUT", reason);
            return Err(BodyError::Refused(problem));
        }
        let body = ingest_body::read_ingest_body(body, self.max_body_bytes(), &self.large_body_permits).await?;
        let max_events = self.config.request_events;
        let request = RawEvents::parse(&body.bytes, max_events).map_err(|error| {
            BodyError::Refused(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", error.to_string()))
        })?;
        if request.count == 0 || request.count > max_events {
            return Err(BodyError::Refused(invalid_field("events", format!("send 1 to {max_events} events"))));
        }
        Ok(request)
    }

    /// Returns the steps of the valid events, each with its index in the request, and the refused events.
    fn validate_events(
        &self,
        request: RawEvents,
        reporter: &EventReporter,
    ) -> (Vec<(usize, VisitStep)>, Vec<RefusedItem>) {
        let window = TimeWindow { now: SystemClock.now(), past_days: self.config.past_days };
        let (mut steps, mut refused) = (Vec::with_capacity(request.events.len()), vec![]);
        for (index, event) in request.events.into_iter().enumerate() {
            match event.into_event().and_then(|event| event.into_step(reporter, window)) {
                Ok(step) => steps.push((index, step)),
                Err(InvalidEventField { field, reason }) => refused.push(RefusedItem::new(index, &field, &reason)),
            }
        }
        (steps, refused)
    }
}

/// Returns the problem of a request without valid events: the first event's problem, with the list of all.
fn all_refused_problem(refused: Vec<RefusedItem>, is_batch: bool) -> Problem {
    let Some(first) = refused.first() else { return CommandFailure::Unavailable.into() };
    let item = if is_batch { format!("events[{}]", first.index()) } else { String::new() };
    let separator = if item.is_empty() || first.field().is_empty() { "" } else { "." };
    let problem = invalid_field(&format!("{item}{separator}{}", first.field()), first.reason());
    if is_batch { problem.with_refused(refused) } else { problem }
}

fn buffer_full_response() -> Response {
    let reason = "the buffer of events is full, try again";
    retry_later_response(Problem::new(StatusCode::TOO_MANY_REQUESTS, "BUFFER_FULL", reason))
}

fn stopping_response() -> Response {
    let reason = "the service is stopping and recorded none of the events, send them again";
    retry_later_response(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", reason))
}

fn retry_later_response(problem: Problem) -> Response {
    let mut response = problem.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    response
}
