//! `/ingest`: views and clicks, one or many at a time.
//!
//! ```text
//! requests ──▶ bounded buffer ──▶ lanes of visits: all that waits in one, in one append ──▶ log ──▶ relay ──▶ Kafka
//!    ▲              │ full: 429                                                             │
//!    └──────────────┴───────────────────── acknowledged when all of it is on record ◀───────┘
//! ```
//!
//! A visit has one lane, so that its events keep their order and no two appends of a process decide about it at once. The
//! events of a request may go several ways: an answer of 503 leaves open which of them are on record. Sent again with their
//! `at`, they are not counted twice.
//!
//! An answer of 200 means that the events are in the log, from where nothing is lost. A client that does not want to wait
//! says `Prefer: respond-async`, is answered 202 at once, and loses what is in the buffer if the process is killed or the
//! log does not take it.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__INGEST__BUFFER_EVENTS` | `50000` | events that wait in memory; more are refused with 429 |
//! | `MEDHUB__INGEST__BATCH_EVENTS` | `5000` | events in one append |
//! | `MEDHUB__INGEST__REQUEST_EVENTS` | `5000` | events in one request |
//! | `MEDHUB__INGEST__LANES` | `2` | appends that are under way together, 1 to 16 |

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use commands::{
    authority::Authority,
    caller::Caller,
    visit::{Recorded, Step, VisitBatches},
};
use domain::{
    clock::{Clock, SystemClock},
    company::Scope,
    opportunity::OpportunityId,
    value::{TenantId, UserId},
    visit::{RecordClick, RecordView, Url, VisitCommand, VisitId},
};
use eventstore::append::PgBatchStore;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::{
    Rest,
    extract::{Sent, wrong},
};
use crate::{http::problem::Problem, identity::Identity, owned::Undone};

/// The most appends that are under way together.
const MOST_LANES: usize = 16;

/// Requests that wait, whatever they hold.
const MAX_REQUESTS: usize = 10_000;

/// When a client that was refused may come back: by then a full buffer is written.
const RETRY_AFTER_S: u64 = 1;

/// How far a client's clock may be ahead.
const MAX_AHEAD: Duration = Duration::from_mins(5);

/// Settings of ingest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Events that wait in memory.
    pub buffer_events: usize,
    /// Events in one append.
    pub batch_events: usize,
    /// Events in one request.
    pub request_events: usize,
    /// Appends that are under way together, 1 to 16: each takes a connection.
    pub lanes: usize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self { buffer_events: 50_000, batch_events: 5_000, request_events: 5_000, lanes: 2 }
    }
}

/// Events of a request on their way through one lane.
struct Waiting {
    tenant: TenantId,
    steps: Vec<Step>,
    /// Who waits for them; nobody where the client does not.
    told: Option<oneshot::Sender<Option<Recorded>>>,
    /// Their place in the buffer.
    _place: OwnedSemaphorePermit,
}

/// What waits for one append after the other.
struct Lane {
    sender: mpsc::Sender<Waiting>,
    receiver: Mutex<mpsc::Receiver<Waiting>>,
}

/// Takes events in.
pub struct Ingest {
    config: IngestConfig,
    places: Arc<Semaphore>,
    lanes: Vec<Lane>,
    batches: VisitBatches<PgBatchStore>,
}

impl Ingest {
    /// Over that log. Nothing is written before [`Self::run`].
    pub fn new(config: &IngestConfig, store: PgBatchStore) -> Self {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(MAX_REQUESTS);
            Lane { sender, receiver: Mutex::new(receiver) }
        };
        let lanes = (0..config.lanes.clamp(1, MOST_LANES)).map(lane).collect();
        let places = Arc::new(Semaphore::new(config.buffer_events.min(Semaphore::MAX_PERMITS)));
        Self { config: config.clone(), places, lanes, batches: VisitBatches::new(store) }
    }

    /// Writes what waits, until told to stop and nothing waits any more.
    pub async fn run(&self, stop: CancellationToken) {
        join_all(self.lanes.iter().map(|lane| self.drain(lane, &stop))).await;
    }

    async fn drain(&self, lane: &Lane, stop: &CancellationToken) {
        let mut receiver = lane.receiver.lock().await;
        loop {
            let first = tokio::select! {
                waiting = receiver.recv() => waiting,
                () = stop.cancelled() => {
                    receiver.close();
                    receiver.recv().await
                }
            };
            let Some(first) = first else { return };
            let mut events = first.steps.len();
            let mut batch = vec![first];
            while events < self.config.batch_events
                && let Ok(next) = receiver.try_recv()
            {
                events += next.steps.len();
                batch.push(next);
            }
            self.write(batch).await;
        }
    }

    /// Writes a batch, tenant by tenant.
    async fn write(&self, batch: Vec<Waiting>) {
        let mut by_tenant = BTreeMap::<TenantId, Vec<Waiting>>::new();
        for waiting in batch {
            by_tenant.entry(waiting.tenant.clone()).or_default().push(waiting);
        }
        for (tenant, mut waiting) in by_tenant {
            let steps: Vec<_> = waiting.iter_mut().flat_map(|one| std::mem::take(&mut one.steps)).collect();
            let outcome = self.record(&tenant, &steps).await;
            for one in waiting {
                if let Some(told) = one.told {
                    // Whoever waited may have gone.
                    let _ = told.send(outcome);
                }
            }
        }
    }

    async fn record(&self, tenant: &TenantId, steps: &[Step]) -> Option<Recorded> {
        let caller = Caller::new(UserId::ours("ingest"), tenant.clone());
        match self.batches.record(&caller, steps).await {
            Ok(recorded) => Some(recorded),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    events = steps.len(),
                    "events were not recorded"
                );
                None
            }
        }
    }

    /// Puts a request's events into the buffer, all of them or none; answers how to hear what becomes of them.
    fn offer(&self, tenant: &TenantId, steps: Vec<Step>, waits: bool) -> Result<Hearing, Full> {
        let count = u32::try_from(steps.len()).map_err(|_| Full)?;
        let mut places = Arc::clone(&self.places).try_acquire_many_owned(count).map_err(|_| Full)?;
        let mut by_lane = BTreeMap::<usize, Vec<Step>>::new();
        for step in steps {
            by_lane.entry(lane_of(&step.visit_id, self.lanes.len())).or_default().push(step);
        }
        let (mut hearing, mut offers) = (vec![], Vec::with_capacity(by_lane.len()));
        for (number, steps) in by_lane {
            let slot = self.lanes.get(number).and_then(|lane| lane.sender.try_reserve().ok()).ok_or(Full)?;
            let place = places.split(steps.len()).ok_or(Full)?;
            let (told, hear) = waits.then(oneshot::channel).unzip();
            hearing.extend(hear);
            offers.push((slot, Waiting { tenant: tenant.clone(), steps, told, _place: place }));
        }
        for (slot, waiting) in offers {
            slot.send(waiting);
        }
        Ok(Hearing(hearing))
    }
}

/// The lane of a visit: always the same one.
fn lane_of(visit_id: &VisitId, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    visit_id.as_str().hash(&mut hasher);
    // The remainder is smaller than a `usize`.
    usize::try_from(hasher.finish() % (lanes.max(1) as u64)).unwrap_or_default()
}

/// What becomes of a request's events.
struct Hearing(Vec<oneshot::Receiver<Option<Recorded>>>);

impl Hearing {
    /// Whether all of them are on record now.
    async fn all_recorded(self) -> bool {
        join_all(self.0).await.into_iter().all(|outcome| matches!(outcome, Ok(Some(_))))
    }
}

/// The buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Full;

/// What happened in a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventKind {
    /// A page was seen.
    View,
    /// A link was clicked.
    Click,
}

/// A view or a click.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct IngestEvent {
    /// Which of the two.
    #[serde(rename = "type")]
    kind: EventKind,
    /// The visit: made by the client, without colons and spaces.
    #[schema(min_length = 1, max_length = 100)]
    session_id: String,
    /// The page.
    #[schema(min_length = 1, max_length = 2048)]
    page_url: String,
    /// The page before a view.
    referrer: Option<String>,
    /// Where a clicked link leads.
    target_url: Option<String>,
    /// Who did it; a person who is signed in names nobody else.
    user_id: Option<String>,
    /// The opportunity that it is about.
    opportunity_id: Option<String>,
    /// When; now where nothing is said.
    at: Option<DateTime<Utc>>,
}

/// One event, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum IngestRequest {
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
pub(super) struct Ingested {
    /// How many were taken in with this request.
    accepted: usize,
}

/// Takes views and clicks. Told again, they are not counted again.
#[utoipa::path(post, path = "/ingest", tag = "analytics", request_body = IngestRequest,
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: answer before the events are on record")),
    responses((status = 200, description = "On record", body = Ingested),
    (status = 202, description = "In the buffer: lost if the process is killed or the log does not take it", body = Ingested),
    (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem),
    (status = 413, body = Problem), (status = 415, body = Problem),
    (status = 429, description = "The buffer is full, or too many requests", body = Problem),
    (status = 503, description = "Not all of them are on record: send them again, with their `at`", body = Problem)))]
pub(super) async fn take(
    State(rest): State<Arc<Rest>>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    Sent(request): Sent<IngestRequest>,
) -> Result<Response, Problem> {
    let visitor = Visitor::of(&identity)?;
    let (events, is_batch) = match request {
        IngestRequest::Batch { events } => (events, true),
        IngestRequest::Single(event) => (vec![event], false),
    };
    let most = rest.ingest.config.request_events;
    if events.is_empty() || events.len() > most {
        return Err(wrong("events", format!("send 1 to {most} events")));
    }
    let now = SystemClock.now();
    let step = |(place, event): (usize, IngestEvent)| {
        event.into_step(&visitor, now).map_err(|(field, reason)| {
            wrong(&if is_batch { format!("events[{place}].{field}") } else { field.to_owned() }, reason)
        })
    };
    let steps: Vec<_> = events.into_iter().enumerate().map(step).collect::<Result<_, _>>()?;
    let accepted = steps.len();
    let asks_for_less = headers.get("prefer").is_some_and(|prefer| prefer.as_bytes() == b"respond-async");
    let Ok(hearing) = rest.ingest.offer(&visitor.tenant, steps, !asks_for_less) else { return Ok(full()) };
    if asks_for_less {
        return Ok((StatusCode::ACCEPTED, Json(Ingested { accepted })).into_response());
    }
    if hearing.all_recorded().await {
        Ok((StatusCode::OK, Json(Ingested { accepted })).into_response())
    } else {
        Err(Undone::Unavailable.into())
    }
}

fn full() -> Response {
    let reason = "more events come than can be recorded, try again";
    let mut answer = Problem::new(StatusCode::TOO_MANY_REQUESTS, "BUFFER_FULL", reason).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    answer
}

/// Whose events somebody may tell.
struct Visitor {
    tenant: TenantId,
    /// Whom events are about; `None` where the teller says.
    user: Option<UserId>,
    may_name_others: bool,
}

impl Visitor {
    fn of(identity: &Identity) -> Result<Self, Undone> {
        let tenant = identity.tenant().clone();
        match &identity.sender.authority {
            Authority::Anonymous => Ok(Self { tenant, user: None, may_name_others: false }),
            Authority::Member(_) => Ok(Self { tenant, user: Some(identity.user().clone()), may_name_others: false }),
            Authority::Machine(scopes) if scopes.allow(Scope::Ingest) => {
                Ok(Self { tenant, user: None, may_name_others: true })
            }
            Authority::System => Ok(Self { tenant, user: None, may_name_others: true }),
            Authority::Machine(_) | Authority::Stranger => Err(Undone::Forbidden),
        }
    }
}

impl IngestEvent {
    /// What it tells, or the field that is wrong and why.
    fn into_step(self, visitor: &Visitor, now: DateTime<Utc>) -> Result<Step, (&'static str, String)> {
        let wrong = |field: &'static str| move |reason: domain::value::InvalidValue| (field, reason.to_string());
        // A colon would lead into the visits of another company.
        if self.session_id.contains(':') {
            return Err(("sessionId", "it has a colon in it".to_owned()));
        }
        let session = self.session_id.trim();
        if session.is_empty() {
            return Err(("sessionId", "it is empty".to_owned()));
        }
        let is_public = visitor.tenant == TenantId::public();
        let stream = if is_public { session.to_owned() } else { visitor.tenant.stream(session) };
        let visit_id = VisitId::try_new(&stream).map_err(wrong("sessionId"))?;
        let page_url = Url::try_new(&self.page_url).map_err(wrong("pageUrl"))?;
        let optional =
            |url: Option<String>| url.filter(|url| !url.is_empty()).map(|url| Url::try_new(&url)).transpose();
        let user_id = match (self.user_id, &visitor.user) {
            (None, own) => own.clone(),
            (Some(named), own) => {
                let named = UserId::try_new(&named).map_err(wrong("userId"))?;
                if !visitor.may_name_others && own.as_ref() != Some(&named) {
                    return Err(("userId", "you can only tell what you did yourself".to_owned()));
                }
                Some(named)
            }
        };
        let opportunity_id = match self.opportunity_id.filter(|id| !id.is_empty()) {
            None => None,
            Some(id) => {
                Some(OpportunityId::parse(&id).ok_or(("opportunityId", "department:number is expected".to_owned()))?)
            }
        };
        let at = self.at.unwrap_or(now);
        if at > now + MAX_AHEAD {
            return Err(("at", "it is in the future".to_owned()));
        }
        let command = match self.kind {
            EventKind::View if self.target_url.is_some() => {
                return Err(("targetUrl", "a view leads nowhere".to_owned()));
            }
            EventKind::View => {
                let referrer = optional(self.referrer).map_err(wrong("referrer"))?;
                VisitCommand::View(RecordView { page_url, referrer, user_id, opportunity_id, at })
            }
            EventKind::Click => {
                let target_url = optional(self.target_url).map_err(wrong("targetUrl"))?;
                VisitCommand::Click(RecordClick { page_url, target_url, user_id, opportunity_id, at })
            }
        };
        Ok(Step { visit_id, command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_keeps_its_lane_and_visits_are_spread() {
        let mut visits = [0_u32; 4];
        for number in 0..400 {
            let visit_id = VisitId::try_new(&format!("visit-{number}")).unwrap();
            let lane = lane_of(&visit_id, visits.len());
            assert_eq!(lane, lane_of(&visit_id, visits.len()));
            visits[lane] += 1;
        }
        assert!(visits.iter().all(|count| *count > 50), "{visits:?}");
        assert_eq!(lane_of(&VisitId::try_new("visit").unwrap(), 1), 0);
    }
}
