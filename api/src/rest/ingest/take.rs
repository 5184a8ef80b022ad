//! The handler: what can be taken goes into the log, what cannot is named.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::visit::Step;
use domain::clock::{Clock, SystemClock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Ingest,
    body::{self, BodyError},
    event::{EventSender, IngestEvent, TimeWindow},
    raw_event::{EventFault, RawEvents},
};
use crate::{
    http::{
        door::{self, Meter},
        problem::{Problem, RefusedItem},
    },
    identity::Identity,
    owned::Undone,
    rest::{
        Rest,
        extract::{PREFERENCE_APPLIED, prefers, wrong},
    },
};

/// When a client that was refused may come back: by then a full buffer is written.
const RETRY_AFTER_S: u64 = 1;

/// One event, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what `RawEvents` reads")]
pub(in crate::rest) enum IngestRequest {
    /// Several, in their order.
    Batch {
        /// The events.
        events: Vec<IngestEvent>,
    },
    /// One.
    Single(IngestEvent),
}

/// What became of events.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::rest) struct Ingested {
    /// How many were taken in with this request, those among them that were told before.
    accepted: usize,
    /// Those that were not, in their order; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedItem>,
}

/// Takes views and clicks. Told again, they are not counted again. Events that cannot be taken are named by index, field and
/// reason, and keep no other from being taken; where none can, the answer is 400.
#[utoipa::path(post, path = "/ingest", tag = "analytics", request_body = IngestRequest,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: answer before the events are on record")),
    responses((status = 200, description = "On record, but those that were refused", body = Ingested),
    (status = 202, description = "In the buffer: lost if the process is killed or the log does not take it", body = Ingested),
    (status = 400, description = "None of the events can be taken", body = Problem),
    (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 429, description = "The buffer is full, or too many requests", body = Problem),
    (status = 503, description = "Not all of them are on record: send them again, with their `id` or `at`", body = Problem)))]
pub(in crate::rest) async fn take(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    Extension(meter): Extension<Meter>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let ingest = &rest.ingest;
    let visitor = EventSender::of(&identity)?;
    let request = match ingest.read(&headers, body).await {
        Ok(request) => request,
        Err(BodyError::Refused(problem)) => return Err(problem),
        Err(BodyError::Busy) => return Ok(full()),
    };
    if let Err(refusal) = meter.charge_events(request.count).await {
        return Ok(door::refused(&refusal, false));
    }
    let is_batch = request.is_batch;
    let (steps, mut refused) = ingest.sort_events(request, &visitor);
    let mut accepted = steps.len();
    if accepted == 0 {
        return Err(none_taken(refused, is_batch));
    }
    let asks_for_less = prefers(&headers, "respond-async");
    let Ok(hearing) = ingest.offer(&visitor.tenant, steps, !asks_for_less) else { return Ok(full()) };
    if asks_for_less {
        let applied = [(PREFERENCE_APPLIED, HeaderValue::from_static("respond-async"))];
        return Ok((StatusCode::ACCEPTED, applied, Json(Ingested { accepted, refused })).into_response());
    }
    let Some(one_too_many) = hearing.outcome().await else { return Err(Undone::Unavailable.into()) };
    if !one_too_many.is_empty() {
        accepted -= one_too_many.len();
        let reason = format!("the visit has {} events already; begin another one", ingest.config.visit_events);
        refused.extend(one_too_many.into_iter().map(|index| RefusedItem::new(index, "sessionId", &reason)));
        refused.sort_by_key(RefusedItem::index);
        if accepted == 0 {
            return Err(none_taken(refused, is_batch));
        }
    }
    Ok((StatusCode::OK, Json(Ingested { accepted, refused })).into_response())
}

impl Ingest {
    /// The longest body that is read, in bytes.
    pub(in crate::rest) fn longest_body(&self) -> usize {
        self.config.request_events.saturating_mul(super::EVENT_BYTES)
    }

    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<RawEvents, BodyError> {
        if !body::is_json(headers) {
            let reason = "the body is expected as `Content-Type: application/json`";
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_INPUT", reason);
            return Err(BodyError::Refused(problem));
        }
        let body = body::read(body, self.longest_body(), &self.large_bodies).await?;
        let most = self.config.request_events;
        let request = RawEvents::parse(&body.bytes, most).map_err(|error| {
            BodyError::Refused(Problem::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", error.to_string()))
        })?;
        if request.count == 0 || request.count > most {
            return Err(BodyError::Refused(wrong("events", format!("send 1 to {most} events"))));
        }
        Ok(request)
    }

    /// The steps that can be taken and which of the request's events each is, and the events that cannot.
    fn sort_events(&self, request: RawEvents, visitor: &EventSender) -> (Vec<(usize, Step)>, Vec<RefusedItem>) {
        let window = TimeWindow { now: SystemClock.now(), past_days: self.config.past_days };
        let (mut steps, mut refused) = (Vec::with_capacity(request.events.len()), vec![]);
        for (index, event) in request.events.into_iter().enumerate() {
            match event.into_event().and_then(|event| event.into_step(visitor, window)) {
                Ok(step) => steps.push((index, step)),
                Err(EventFault { field, reason }) => refused.push(RefusedItem::new(index, &field, &reason)),
            }
        }
        (steps, refused)
    }
}

/// The problem of a request of which nothing can be taken: the first event's, and the list.
fn none_taken(refused: Vec<RefusedItem>, is_batch: bool) -> Problem {
    let Some(first) = refused.first() else { return Undone::Unavailable.into() };
    let place = if is_batch { format!("events[{}]", first.index()) } else { String::new() };
    let separator = if place.is_empty() || first.field().is_empty() { "" } else { "." };
    let problem = wrong(&format!("{place}{separator}{}", first.field()), first.reason());
    if is_batch { problem.with_refused(refused) } else { problem }
}

fn full() -> Response {
    let reason = "more events come than can be recorded, try again";
    let mut answer = Problem::new(StatusCode::TOO_MANY_REQUESTS, "BUFFER_FULL", reason).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}
