//! `/ingest`: records views and clicks, single ones or batches.
//!
//! ```text
//! requests ──▶ bounded buffer ──▶ lanes: all waiting events of a lane in one append ──▶ log ──▶ relay ──▶ Kafka
//!    ▲              │ full: 429                                                         │
//!    └──────────────┴───────────────── acknowledged when all events are recorded ◀──────┘
//! ```
//!
//! All events of a visit use the same lane, so that their order is preserved and no two appends of a process conflict
//! in its stream. The events of a request may use several lanes: a response of 503 does not say which of them are
//! recorded. If they are sent again with the same `id` or `at`, they are not counted twice, however long ago they were
//! sent (ADR 0027).
//!
//! A response of 200 means that the events are in the log, which loses nothing. It lists refused events by index, field
//! and reason; the others are recorded. A client that does not wait for the append sends `Prefer: respond-async` and is
//! answered 202 at once; its events are lost if the process is killed or the append fails.
//!
//! A shutdown loses nothing: after the signal, new events are refused with 503, and buffered events are written, with
//! their own timeout, while connections are closed. 202 is only answered while all buffered events can be written
//! within a part of that timeout, at the rate at which batches were written so far. Beyond that the preference is
//! ignored (RFC 7240) and the response is 200, once the events are recorded.

mod enqueued_request;
mod field_key;
mod ingest_body;
mod ingest_config;
mod ingest_event;
mod ingest_handler;
mod ingest_metrics;
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
use self::{
    enqueued_request::{EnqueueError, EnqueuedRequest, PendingAppends},
    write_rate::WriteRate,
};

/// Maximum number of concurrent appends.
const MAX_LANES: usize = 16;

/// Maximum number of requests that wait in one lane, independent of their size.
const MAX_REQUESTS: usize = 10_000;

/// Maximum bytes of a body per event that a request may contain: two URLs of 2,048 characters, and the other fields.
const MAX_EVENT_BYTES: usize = 5 << 10;

/// Bodies of more than 1 MiB that are read at the same time. Anonymous clients may send them, and each needs memory.
const MAX_LARGE_BODIES: usize = 8;

/// Timeout of an append; after it the events count as not recorded; shorter when the process stops.
const APPEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Attempts to append a batch with acknowledged events when the process stops: clients do not send such events again.
const DRAIN_ATTEMPTS: u32 = 3;
const DRAIN_RETRY_PAUSE: Duration = Duration::from_millis(200);

/// An append exceeded its timeout.
#[derive(Debug, thiserror::Error)]
#[error("the append timed out")]
struct AppendTimeout;

/// The events of a request in one lane.
struct QueuedEvents {
    tenant: TenantId,
    /// The events, each with its index in the request.
    steps: Vec<(usize, VisitStep)>,
    /// Receives the outcome; `None` if the client was answered 202.
    reply: Option<oneshot::Sender<LaneOutcome>>,
    /// The permits of the buffer that the events hold.
    permits: OwnedSemaphorePermit,
}

/// Indexes of the events that were refused because their visits are full; `None` if the append failed.
type LaneOutcome = Option<Vec<usize>>;

/// Events that are appended one batch after the other.
struct IngestLane {
    sender: mpsc::Sender<QueuedEvents>,
    receiver: Mutex<mpsc::Receiver<QueuedEvents>>,
}

/// Buffers events and appends them in batches.
pub struct IngestService<S = PgBatchStore> {
    config: IngestConfig,
    buffer_permits: Arc<Semaphore>,
    large_body_permits: Arc<Semaphore>,
    lanes: Vec<IngestLane>,
    batches: VisitRecorder<S>,
    write_rate: WriteRate,
    /// Events that were answered 202 and have not been written.
    unrecorded_events: AtomicUsize,
    /// Set when [`Self::run`] begins.
    stop: OnceLock<CancellationToken>,
}

impl<S: FactStore> IngestService<S> {
    /// Creates a service that appends to `store`. Nothing is written before [`Self::run`].
    pub fn new(config: &IngestConfig, store: S) -> Self {
        let lane = |_| {
            let (sender, receiver) = mpsc::channel(MAX_REQUESTS);
            IngestLane { sender, receiver: Mutex::new(receiver) }
        };
        let lanes = (0..config.lanes.clamp(1, MAX_LANES)).map(lane).collect();
        let buffer_permits = Arc::new(Semaphore::new(config.buffer_events.min(Semaphore::MAX_PERMITS)));
        Self {
            config: config.clone(),
            buffer_permits,
            large_body_permits: Arc::new(Semaphore::new(MAX_LARGE_BODIES)),
            lanes,
            batches: VisitRecorder::new(store, config.visit_events),
            write_rate: WriteRate::default(),
            unrecorded_events: AtomicUsize::new(0),
            stop: OnceLock::new(),
        }
    }

    /// Returns the number of events that were answered 202 and may not be recorded: they wait, are being written, or
    /// could not be written during the shutdown.
    pub fn unrecorded_events(&self) -> usize {
        self.unrecorded_events.load(Ordering::Relaxed)
    }

    /// Writes buffered events until `stop` is cancelled and the buffer is empty. After the cancellation new events are
    /// refused.
    pub async fn run(&self, stop: CancellationToken) {
        // Fails only for a second call, which a service does not make.
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
                    next = receiver.recv() => next,
                }
            };
            let Some(first) = first else { return };
            let max_permits = self.max_batch_permits();
            let mut permits = first.permits.num_permits();
            let mut batch = vec![first];
            while permits < max_permits
                && let Ok(next) = receiver.try_recv()
            {
                if permits + next.permits.num_permits() > max_permits {
                    carried_over = Some(next);
                    break;
                }
                permits += next.permits.num_permits();
                batch.push(next);
            }
            let start = Instant::now();
            let is_recorded = self.write_batch(batch).await;
            self.write_rate.record_batch(permits, start.elapsed(), is_recorded);
            ingest_metrics::record_append(is_recorded, start.elapsed());
            ingest_metrics::set_buffer(self.config.buffer_events, &self.buffer_permits);
        }
    }

    /// Returns the maximum permits of one batch: no more than can be written in the time that 202 relies on, so that a
    /// shutdown does not abort a large batch with acknowledged events.
    fn max_batch_permits(&self) -> usize {
        self.config.batch_events.min(self.write_rate.permits_within(self.config.early_acknowledgement_time()))
    }

    fn is_stopping(&self) -> bool {
        self.stop.get().is_some_and(CancellationToken::is_cancelled)
    }

    /// Writes a batch, tenant by tenant; returns whether all of it is recorded.
    async fn write_batch(&self, batch: Vec<QueuedEvents>) -> bool {
        let mut is_recorded = true;
        let mut by_tenant = BTreeMap::<TenantId, Vec<QueuedEvents>>::new();
        for queued in batch {
            by_tenant.entry(queued.tenant.clone()).or_default().push(queued);
        }
        for (tenant, mut requests) in by_tenant {
            let (mut steps, mut indexes) = (vec![], Vec::with_capacity(requests.len()));
            for request in &mut requests {
                let (request_indexes, request_steps): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut request.steps).into_iter().unzip();
                indexes.push(request_indexes);
                steps.extend(request_steps);
            }
            let acknowledged: usize = requests
                .iter()
                .zip(&indexes)
                .filter(|(request, _)| request.reply.is_none())
                .map(|(_, request_indexes)| request_indexes.len())
                .sum();
            let outcomes = self.append_with_retry(&tenant, &steps, acknowledged > 0).await;
            is_recorded &= outcomes.is_some();
            ingest_metrics::count_appended(outcomes.as_deref(), steps.len());
            // Events that could not be written during a shutdown remain counted, for the check at its end.
            if outcomes.is_some() || !self.is_stopping() {
                self.unrecorded_events.fetch_sub(acknowledged, Ordering::Relaxed);
            }
            let mut remaining = outcomes.as_deref().unwrap_or_default();
            for (request, request_indexes) in requests.into_iter().zip(indexes) {
                let (request_outcomes, others) = remaining.split_at_checked(request_indexes.len()).unwrap_or_default();
                remaining = others;
                let full: Vec<_> = request_indexes
                    .into_iter()
                    .zip(request_outcomes)
                    .filter(|(_, outcome)| **outcome == FactOutcome::StreamFull)
                    .map(|(index, _)| index)
                    .collect();
                let QueuedEvents { reply, permits, .. } = request;
                // Released before the reply: a client that receives it may send as many events again.
                drop(permits);
                if let Some(reply) = reply {
                    // Fails if the client has disconnected.
                    let _ = reply.send(outcomes.as_ref().map(|_| full));
                } else if !full.is_empty() {
                    tracing::warn!(events = full.len(), "dropped acknowledged events of full visits");
                }
            }
        }
        is_recorded
    }

    /// Appends; during a shutdown with several attempts if some of the events are acknowledged.
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

    /// Returns when an append has timed out; during a shutdown early enough for a retry on another connection.
    async fn wait_for_append_timeout(&self) {
        let shutdown_timeout = APPEND_TIMEOUT.min(self.config.drain_timeout() / DRAIN_ATTEMPTS);
        let stopping = async {
            match self.stop.get() {
                Some(stop) => stop.cancelled().await,
                None => std::future::pending().await,
            }
            sleep(shutdown_timeout).await;
        };
        tokio::select! {
            () = sleep(APPEND_TIMEOUT) => (),
            () = stopping => (),
        }
    }

    /// Puts the events of a request into the buffer, all of them or none. They are acknowledged if the client prefers
    /// not to wait and the buffered events can be written in time; otherwise the caller waits for the appends.
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
        let permits = Arc::clone(&self.buffer_permits).try_acquire_many_owned(needed);
        let mut permits = permits.map_err(|_| EnqueueError::BufferFull)?;
        let (count, is_acknowledged) = (steps.len(), prefers_async && self.can_acknowledge());
        let mut by_lane = BTreeMap::<usize, Vec<(usize, VisitStep)>>::new();
        for step in steps {
            by_lane.entry(lane_for_visit(&step.1.visit_id, self.lanes.len())).or_default().push(step);
        }
        let (mut replies, mut reserved) = (vec![], Vec::with_capacity(by_lane.len()));
        for (number, steps) in by_lane {
            let lane = self.lanes.get(number).ok_or(EnqueueError::BufferFull)?;
            let slot = lane.sender.try_reserve()?;
            let needed = steps.iter().map(|(_, step)| ingest_event::buffer_permits(step)).sum();
            let lane_permits = permits.split(needed).ok_or(EnqueueError::BufferFull)?;
            let (reply, receiver) = (!is_acknowledged).then(oneshot::channel).unzip();
            replies.extend(receiver);
            reserved.push((slot, QueuedEvents { tenant: tenant.clone(), steps, reply, permits: lane_permits }));
        }
        if is_acknowledged {
            self.unrecorded_events.fetch_add(count, Ordering::Relaxed);
        }
        for (slot, queued) in reserved {
            slot.send(queued);
        }
        ingest_metrics::set_buffer(self.config.buffer_events, &self.buffer_permits);
        Ok(if is_acknowledged {
            EnqueuedRequest::Acknowledged
        } else {
            EnqueuedRequest::Pending(PendingAppends(replies))
        })
    }

    /// Whether all buffered events, of all clients, can be written in time if a shutdown begins now.
    fn can_acknowledge(&self) -> bool {
        let capacity = self.config.buffer_events.min(Semaphore::MAX_PERMITS);
        let buffered = capacity.saturating_sub(self.buffer_permits.available_permits());
        let writable = self.write_rate.permits_within(self.config.early_acknowledgement_time());
        !self.write_rate.is_failing() && buffered <= self.config.async_events.min(writable)
    }
}

/// Returns the lane of a visit, always the same one.
fn lane_for_visit(visit_id: &VisitId, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    visit_id.as_str().hash(&mut hasher);
    // The remainder is smaller than a `usize`.
    usize::try_from(hasher.finish() % (lanes.max(1) as u64)).unwrap_or_default()
}
