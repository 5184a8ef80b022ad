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
//! A stop loses nothing: from the signal on new events are refused with 503, and what waits is written beside the end of the
//! connections, within a time of its own. 202 is only answered while all that waits can be written within a part of that
//! time, by the rate at which batches were written so far; beyond that the preference is ignored (RFC 7240) and the answer
//! is 200, once the events are on record.

mod ingest_body;
mod ingest_config;
mod ingest_event;
mod ingest_handler;
mod raw_event;
#[cfg(test)]
mod tests;
mod write_rate;

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use commands::{
    caller::Caller,
    visit::{VisitRecorder, VisitStep},
};
use domain::{
    event_store::{FactOutcome, FactStore},
    value::{TenantId, UserId},
    visit::VisitId,
};
use eventstore::append::PgBatchStore;
use futures::future::join_all;
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

pub use self::ingest_config::IngestConfig;
pub(super) use self::ingest_handler::{__path_ingest_events, ingest_events};
use self::write_rate::WriteRate;

/// The most appends that are under way together.
const MAX_LANES: usize = 16;

/// Requests that wait, whatever they hold.
const MAX_REQUESTS: usize = 10_000;

/// Bytes of a body for each event that a request may hold: two addresses of 2,048 characters, and the rest.
const MAX_EVENT_BYTES: usize = 5 << 10;

/// Bodies of more than 1 MiB that are read at the same time. Anonymous clients send them, and each takes memory.
const MAX_LARGE_BODIES: usize = 8;

/// How long one append may take before its events count as not recorded; less when the process stops.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a batch with acknowledged events is tried when the process stops: nobody sends them again.
const DRAIN_ATTEMPTS: u32 = 3;
const DRAIN_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// An append that took too long.
#[derive(Debug, thiserror::Error)]
#[error("the append took too long and was given up")]
struct AppendTimeout;

/// Events of a request on their way through one lane.
struct QueuedEvents {
    tenant: TenantId,
    /// The events, and which of the request's each is.
    steps: Vec<(usize, VisitStep)>,
    /// Who waits for them; nobody where the client was answered 202.
    reply: Option<oneshot::Sender<LaneOutcome>>,
    /// Their place in the buffer.
    permits: OwnedSemaphorePermit,
}

/// Which events of a request were one too many for their visits; `None` where the log did not take any of them.
type LaneOutcome = Option<Vec<usize>>;

/// What waits for one append after the other.
struct IngestLane {
    sender: mpsc::Sender<QueuedEvents>,
    receiver: Mutex<mpsc::Receiver<QueuedEvents>>,
}

/// Takes events in.
pub struct IngestService<S = PgBatchStore> {
    config: IngestConfig,
    buffer_permits: Arc<Semaphore>,
    large_body_permits: Arc<Semaphore>,
    lanes: Vec<IngestLane>,
    batches: VisitRecorder<S>,
    write_rate: WriteRate,
    /// Events that were answered 202 and have not been written.
    unrecorded_events: AtomicUsize,
    /// Known from the beginning of [`Self::run`].
    stop: OnceLock<CancellationToken>,
}

impl<S: FactStore> IngestService<S> {
    /// Over that log. Nothing is written before [`Self::run`].
    pub fn new(config: &IngestConfig, store: S) -> Self {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(MAX_REQUESTS);
            IngestLane { sender, receiver: Mutex::new(receiver) }
        };
        let lanes = (0..config.lanes.clamp(1, MAX_LANES)).map(lane).collect();
        let places = Arc::new(Semaphore::new(config.buffer_events.min(Semaphore::MAX_PERMITS)));
        Self {
            config: config.clone(),
            buffer_permits: places,
            large_body_permits: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            lanes,
            batches: VisitRecorder::new(store, config.visit_events),
            write_rate: WriteRate::default(),
            unrecorded_events: AtomicUsize::new(0),
            stop: OnceLock::new(),
        }
    }

    /// How many events were answered 202 and are not known to be on record: they wait, are being written, or could not be
    /// written when told to stop.
    pub fn unrecorded_events(&self) -> usize {
        self.unrecorded_events.load(Ordering::Relaxed)
    }

    /// Writes what waits, until told to stop and nothing waits any more. From then on nothing new is taken.
    pub async fn run(&self, stop: CancellationToken) {
        // There is one run for each service.
        let _ = self.stop.set(stop.clone());
        join_all(self.lanes.iter().map(|lane| self.drain_lane(lane, &stop))).await;
    }

    async fn drain_lane(&self, lane: &IngestLane, stop: &CancellationToken) {
        let mut receiver = lane.receiver.lock().await;
        let mut carried_over = None;
        loop {
            let first = if let Some(carried_over) = carried_over.take() {
                Some(carried_over)
            } else {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        receiver.close();
                        receiver.recv().await
                    }
                    waiting = receiver.recv() => waiting,
                }
            };
            let Some(first) = first else { return };
            let max_places = self.max_batch_places();
            let mut places = first.permits.num_permits();
            let mut batch = vec![first];
            while places < max_places
                && let Ok(next) = receiver.try_recv()
            {
                if places + next.permits.num_permits() > max_places {
                    carried_over = Some(next);
                    break;
                }
                places += next.permits.num_permits();
                batch.push(next);
            }
            let start = Instant::now();
            let is_recorded = self.write_batch(batch).await;
            self.write_rate.record_batch(places, start.elapsed(), is_recorded);
        }
    }

    /// Places in the buffer of one batch: no more than can be written in the time that 202 relies on, so that a stop does not
    /// cut off a large one with what was acknowledged in it.
    fn max_batch_places(&self) -> usize {
        self.config.batch_events.min(self.write_rate.places_within(self.config.promise_time()))
    }

    fn is_stopping(&self) -> bool {
        self.stop.get().is_some_and(CancellationToken::is_cancelled)
    }

    /// Writes a batch, tenant by tenant; answers whether all of it is on record.
    async fn write_batch(&self, batch: Vec<QueuedEvents>) -> bool {
        let mut is_recorded = true;
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
            let acknowledged: usize =
                waiting.iter().zip(&indexes).filter(|(one, _)| one.reply.is_none()).map(|(_, own)| own.len()).sum();
            let outcomes = self.append_with_retry(&tenant, &steps, acknowledged > 0).await;
            is_recorded &= outcomes.is_some();
            // What a stop could not write stays counted, for its last words.
            if outcomes.is_some() || !self.is_stopping() {
                self.unrecorded_events.fetch_sub(acknowledged, Ordering::Relaxed);
            }
            let mut rest = outcomes.as_deref().unwrap_or_default();
            for (one, of_request) in waiting.into_iter().zip(indexes) {
                let (own, others) = rest.split_at_checked(of_request.len()).unwrap_or_default();
                rest = others;
                let full = of_request.into_iter().zip(own).filter(|(_, outcome)| **outcome == FactOutcome::StreamFull);
                let full: Vec<_> = full.map(|(index, _)| index).collect();
                let QueuedEvents { reply, permits, .. } = one;
                // Whoever hears of it may send as many again.
                drop(permits);
                if let Some(told) = reply {
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
        is_recorded
    }

    /// Appends, when told to stop more than once where events were acknowledged.
    async fn append_with_retry(
        &self,
        tenant: &TenantId,
        steps: &[VisitStep],
        is_acknowledged: bool,
    ) -> Option<Vec<FactOutcome>> {
        let mut attempts_left = DRAIN_ATTEMPTS;
        loop {
            attempts_left -= 1;
            let outcomes = self.append_steps(tenant, steps).await;
            if outcomes.is_some() || attempts_left == 0 || !is_acknowledged || !self.is_stopping() {
                return outcomes;
            }
            sleep(DRAIN_RETRY_PAUSE).await;
        }
    }

    async fn append_steps(&self, tenant: &TenantId, steps: &[VisitStep]) -> Option<Vec<FactOutcome>> {
        let caller = Caller::new(UserId::from_program("ingest"), tenant.clone());
        let not_recorded = |error: &(dyn std::error::Error + 'static)| {
            tracing::error!(error, events = steps.len(), "events were not recorded");
            None
        };
        tokio::select! {
            outcome = self.batches.record_steps(&caller, steps) => outcome.map_or_else(|error| not_recorded(&error), Some),
            () = self.wait_for_append_timeout() => not_recorded(&AppendTimeout),
        }
    }

    /// Returns when an append has taken too long: from the stop on early enough to try again on another connection.
    async fn wait_for_append_timeout(&self) {
        let at_stop = APPEND_TIMEOUT.min(self.config.drain_timeout() / DRAIN_ATTEMPTS);
        let stopping = async {
            match self.stop.get() {
                Some(stop) => stop.cancelled().await,
                None => std::future::pending().await,
            }
            sleep(at_stop).await;
        };
        tokio::select! {
            () = sleep(APPEND_TIMEOUT) => (),
            () = stopping => (),
        }
    }

    /// Puts a request's events into the buffer, all of them or none. Where the client prefers not to wait and what waits can
    /// be written in time they are acknowledged; otherwise answers how to hear what becomes of them.
    fn enqueue(
        &self,
        tenant: &TenantId,
        steps: Vec<(usize, VisitStep)>,
        prefers_async: bool,
    ) -> Result<EnqueuedRequest, EnqueueError> {
        if self.is_stopping() {
            return Err(EnqueueError::Stopping);
        }
        let needed = steps.iter().map(|(_, step)| ingest_event::buffer_permits(step)).sum::<usize>();
        let needed = u32::try_from(needed).map_err(|_| EnqueueError::BufferFull)?;
        let places = Arc::clone(&self.buffer_permits).try_acquire_many_owned(needed);
        let mut places = places.map_err(|_| EnqueueError::BufferFull)?;
        let (count, waits) = (steps.len(), !(prefers_async && self.can_acknowledge()));
        let mut by_lane = BTreeMap::<usize, Vec<(usize, VisitStep)>>::new();
        for step in steps {
            by_lane.entry(lane_for_visit(&step.1.visit_id, self.lanes.len())).or_default().push(step);
        }
        let (mut hearing, mut offers) = (vec![], Vec::with_capacity(by_lane.len()));
        for (number, steps) in by_lane {
            let lane = self.lanes.get(number).ok_or(EnqueueError::BufferFull)?;
            let slot = lane.sender.try_reserve()?;
            let needed = steps.iter().map(|(_, step)| ingest_event::buffer_permits(step)).sum();
            let place = places.split(needed).ok_or(EnqueueError::BufferFull)?;
            let (told, hear) = waits.then(oneshot::channel).unzip();
            hearing.extend(hear);
            offers.push((slot, QueuedEvents { tenant: tenant.clone(), steps, reply: told, permits: place }));
        }
        if !waits {
            self.unrecorded_events.fetch_add(count, Ordering::Relaxed);
        }
        for (slot, waiting) in offers {
            slot.send(waiting);
        }
        Ok(if waits { EnqueuedRequest::Pending(PendingAppends(hearing)) } else { EnqueuedRequest::Acknowledged })
    }

    /// Whether all that waits, of whatever client, can be written in time if the signal to stop comes now.
    fn can_acknowledge(&self) -> bool {
        let places = self.config.buffer_events.min(Semaphore::MAX_PERMITS);
        let waiting = places.saturating_sub(self.buffer_permits.available_permits());
        let in_time = self.write_rate.places_within(self.config.promise_time());
        !self.write_rate.is_failing() && waiting <= self.config.async_events.min(in_time)
    }
}

/// The lane of a visit: always the same one.
fn lane_for_visit(visit_id: &VisitId, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    visit_id.as_str().hash(&mut hasher);
    // The remainder is smaller than a `usize`.
    usize::try_from(hasher.finish() % (lanes.max(1) as u64)).unwrap_or_default()
}

/// What a client can be told once its events are in the buffer.
enum EnqueuedRequest {
    /// Nothing more: they are promised to be recorded.
    Acknowledged,
    /// What becomes of them, when it is known.
    Pending(PendingAppends),
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

/// Why events are not in the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EnqueueError {
    /// There is no place.
    BufferFull,
    /// The process has been told to stop.
    Stopping,
}

impl<T> From<mpsc::error::TrySendError<T>> for EnqueueError {
    fn from(error: mpsc::error::TrySendError<T>) -> Self {
        match error {
            mpsc::error::TrySendError::Full(_) => Self::BufferFull,
            mpsc::error::TrySendError::Closed(_) => Self::Stopping,
        }
    }
}
