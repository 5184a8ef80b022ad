//! `/ingest`: views and clicks, one or many at a time.
//!
//! ```text
//! requests ──▶ bounded buffer ──▶ lanes of visits: all that waits in one, in one append ──▶ log ──▶ relay ──▶ Kafka
//!    ▲              │ full: 429                                                             │
//!    └──────────────┴───────────────────── acknowledged when all of it is on record ◀───────┘
//! ```
//!
//! A visit has one lane, so that its events keep their order and no two appends of a process take the same place in it. The
//! events of a request may go several ways: an answer of 503 leaves open which of them are on record. Sent again with their
//! `id` or their `at`, they are not counted twice, however long ago they were sent (ADR 0027).
//!
//! An answer of 200 means that the events are in the log, from where nothing is lost; those that were refused are named in it
//! by index, field and reason, and the others are taken. A client that does not want to wait says `Prefer: respond-async`, is
//! answered 202 at once, and loses what is in the buffer if the process is killed or the log does not take it.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `MEDHUB__INGEST__BUFFER_EVENTS` | `50000` | events that wait in memory, one that is larger than 1 KiB counts for several; more are refused with 429 |
//! | `MEDHUB__INGEST__BATCH_EVENTS` | `5000` | events in one append |
//! | `MEDHUB__INGEST__REQUEST_EVENTS` | `5000` | events in one request; its body may have 5 KiB for each |
//! | `MEDHUB__INGEST__LANES` | `2` | appends that are under way together, 1 to 16 |
//! | `MEDHUB__INGEST__VISIT_EVENTS` | `10000` | events of one visit; further ones are refused in the field `sessionId` |
//! | `MEDHUB__INGEST__PAST_DAYS` | `365` | how long ago an event may have happened; older ones are refused in the field `at` |

mod ingest_body;
mod ingest_event;
mod ingest_handler;
mod raw_event;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use commands::{
    caller::Caller,
    visit::{VisitRecorder, VisitStep},
};
use domain::{
    event_store::FactOutcome,
    value::{TenantId, UserId},
    visit::VisitId,
};
use eventstore::append::PgBatchStore;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(super) use self::ingest_handler::{__path_ingest_events, ingest_events};

/// The most appends that are under way together.
const MAX_LANES: usize = 16;

/// Requests that wait, whatever they hold.
const MAX_REQUESTS: usize = 10_000;

/// Bytes of a body for each event that a request may hold: two addresses of 2,048 characters, and the rest.
const MAX_EVENT_BYTES: usize = 5 << 10;

/// Bodies of more than 1 MiB that are read at the same time. Anonymous clients send them, and each takes memory.
const MAX_LARGE_BODIES: usize = 8;

/// How long one append may take before its events count as not recorded.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

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
    /// Events of one visit.
    pub visit_events: u64,
    /// How many days ago an event may have happened.
    pub past_days: u16,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            buffer_events: 50_000,
            batch_events: 5_000,
            request_events: 5_000,
            lanes: 2,
            visit_events: 10_000,
            past_days: 365,
        }
    }
}

/// Events of a request on their way through one lane.
struct QueuedEvents {
    tenant: TenantId,
    /// The events, and which of the request's each is.
    steps: Vec<(usize, VisitStep)>,
    /// Who waits for them; nobody where the client does not.
    reply: Option<oneshot::Sender<LaneOutcome>>,
    /// Their place in the buffer.
    _permits: OwnedSemaphorePermit,
}

/// Which events of a request were one too many for their visits; `None` where the log did not take any of them.
type LaneOutcome = Option<Vec<usize>>;

/// What waits for one append after the other.
struct IngestLane {
    sender: mpsc::Sender<QueuedEvents>,
    receiver: Mutex<mpsc::Receiver<QueuedEvents>>,
}

/// Takes events in.
pub struct IngestService {
    config: IngestConfig,
    buffer_permits: Arc<Semaphore>,
    large_body_permits: Arc<Semaphore>,
    lanes: Vec<IngestLane>,
    batches: VisitRecorder<PgBatchStore>,
}

impl IngestService {
    /// Over that log. Nothing is written before [`Self::run`].
    pub fn new(config: &IngestConfig, store: PgBatchStore) -> Self {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(MAX_REQUESTS);
            IngestLane { sender, receiver: Mutex::new(receiver) }
        };
        let lanes = (0..config.lanes.clamp(1, MAX_LANES)).map(lane).collect();
        let places = Arc::new(Semaphore::new(config.buffer_events.min(Semaphore::MAX_PERMITS)));
        let batches = VisitRecorder::new(store, config.visit_events);
        let large_bodies = Arc::new(Semaphore::new(MAX_LARGE_BODIES));
        Self { config: config.clone(), buffer_permits: places, large_body_permits: large_bodies, lanes, batches }
    }

    /// Writes what waits, until told to stop and nothing waits any more.
    pub async fn run(&self, stop: CancellationToken) {
        join_all(self.lanes.iter().map(|lane| self.drain_lane(lane, &stop))).await;
    }

    async fn drain_lane(&self, lane: &IngestLane, stop: &CancellationToken) {
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
            self.write_batch(batch).await;
        }
    }

    /// Writes a batch, tenant by tenant.
    async fn write_batch(&self, batch: Vec<QueuedEvents>) {
        let mut by_tenant = BTreeMap::<TenantId, Vec<QueuedEvents>>::new();
        for waiting in batch {
            by_tenant.entry(waiting.tenant.clone()).or_default().push(waiting);
        }
        for (tenant, mut waiting) in by_tenant {
            let (mut steps, mut indexes) = (vec![], Vec::with_capacity(waiting.len()));
            for one in &mut waiting {
                let (of_request, told): (Vec<_>, Vec<_>) = std::mem::take(&mut one.steps).into_iter().unzip();
                indexes.push(of_request);
                steps.extend(told);
            }
            let outcomes = self.append_steps(&tenant, &steps).await;
            let mut rest = outcomes.as_deref().unwrap_or_default();
            for (one, of_request) in waiting.into_iter().zip(indexes) {
                let (own, others) = rest.split_at_checked(of_request.len()).unwrap_or_default();
                rest = others;
                let full = of_request.into_iter().zip(own).filter(|(_, outcome)| **outcome == FactOutcome::StreamFull);
                let full: Vec<_> = full.map(|(index, _)| index).collect();
                if let Some(told) = one.reply {
                    // Whoever waited may have gone.
                    let _ = told.send(outcomes.as_ref().map(|_| full));
                } else if !full.is_empty() {
                    tracing::warn!(
                        events = full.len(),
                        "events of full visits were left out, and nobody waits to hear it"
                    );
                }
            }
        }
    }

    async fn append_steps(&self, tenant: &TenantId, steps: &[VisitStep]) -> Option<Vec<FactOutcome>> {
        let caller = Caller::new(UserId::from_program("ingest"), tenant.clone());
        let not_recorded = |error: &(dyn std::error::Error + 'static)| {
            tracing::error!(error, events = steps.len(), "events were not recorded");
            None
        };
        match timeout(APPEND_TIMEOUT, self.batches.record_steps(&caller, steps)).await {
            Ok(Ok(outcomes)) => Some(outcomes),
            Ok(Err(error)) => not_recorded(&error),
            Err(elapsed) => not_recorded(&elapsed),
        }
    }

    /// Puts a request's events into the buffer, all of them or none; answers how to hear what becomes of them.
    fn enqueue(
        &self,
        tenant: &TenantId,
        steps: Vec<(usize, VisitStep)>,
        waits: bool,
    ) -> Result<PendingAppends, BufferFull> {
        let needed = steps.iter().map(|(_, step)| ingest_event::buffer_permits(step)).sum::<usize>();
        let needed = u32::try_from(needed).map_err(|_| BufferFull)?;
        let mut places = Arc::clone(&self.buffer_permits).try_acquire_many_owned(needed).map_err(|_| BufferFull)?;
        let mut by_lane = BTreeMap::<usize, Vec<(usize, VisitStep)>>::new();
        for step in steps {
            by_lane.entry(lane_for_visit(&step.1.visit_id, self.lanes.len())).or_default().push(step);
        }
        let (mut hearing, mut offers) = (vec![], Vec::with_capacity(by_lane.len()));
        for (number, steps) in by_lane {
            let slot = self.lanes.get(number).and_then(|lane| lane.sender.try_reserve().ok()).ok_or(BufferFull)?;
            let needed = steps.iter().map(|(_, step)| ingest_event::buffer_permits(step)).sum();
            let place = places.split(needed).ok_or(BufferFull)?;
            let (told, hear) = waits.then(oneshot::channel).unzip();
            hearing.extend(hear);
            offers.push((slot, QueuedEvents { tenant: tenant.clone(), steps, reply: told, _permits: place }));
        }
        for (slot, waiting) in offers {
            slot.send(waiting);
        }
        Ok(PendingAppends(hearing))
    }
}

/// The lane of a visit: always the same one.
fn lane_for_visit(visit_id: &VisitId, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    visit_id.as_str().hash(&mut hasher);
    // The remainder is smaller than a `usize`.
    usize::try_from(hasher.finish() % (lanes.max(1) as u64)).unwrap_or_default()
}

/// What becomes of a request's events.
struct PendingAppends(Vec<oneshot::Receiver<LaneOutcome>>);

impl PendingAppends {
    /// Waits until all of them are on record, but those that were one too many for their visits: their indexes in the
    /// request. `None` where not all are on record.
    async fn wait_for_outcome(self) -> LaneOutcome {
        let mut full = vec![];
        for outcome in join_all(self.0).await {
            full.extend(outcome.ok().flatten()?);
        }
        Some(full)
    }
}

/// The buffer is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BufferFull;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_longest_texts_is_no_longer_than_the_limit_of_a_body_allows_for_each() {
        let texts =
            [("sessionId", 100), ("pageUrl", 2_048), ("referrer", 2_048), ("userId", 200), ("opportunityId", 200)];
        let event: serde_json::Map<_, _> =
            texts.into_iter().map(|(name, length)| (name.to_owned(), "x".repeat(length).into())).collect();
        let rest = r#","type":"view","at":"2026-03-03T12:00:00.000000000Z""#.len();
        assert!(serde_json::to_string(&event).unwrap().len() + rest < MAX_EVENT_BYTES);
    }

    #[test]
    fn a_visit_keeps_its_lane_and_visits_are_spread() {
        let mut visits = [0_u32; 4];
        for number in 0..400 {
            let visit_id = VisitId::try_new(&format!("visit-{number}")).unwrap();
            let lane = lane_for_visit(&visit_id, visits.len());
            assert_eq!(lane, lane_for_visit(&visit_id, visits.len()));
            visits[lane] += 1;
        }
        assert!(visits.iter().all(|count| *count > 50), "{visits:?}");
        assert_eq!(lane_for_visit(&VisitId::try_new("visit").unwrap(), 1), 0);
    }
}
