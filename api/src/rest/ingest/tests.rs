//! Tests of acknowledged events, and of their appends when the process stops.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{
    event_store::{NewFact, StoreError},
    visit::{RecordView, VisitCommand, VisitUrl},
};
use tokio::task::{JoinHandle, yield_now};

use super::*;

/// A log that completes one append for each permit that a test adds.
#[derive(Clone)]
struct GatedLog(Arc<GateState>);

struct GateState {
    append_permits: Semaphore,
    begun_appends: AtomicUsize,
    events: AtomicUsize,
}

impl GatedLog {
    fn closed() -> Self {
        Self(Arc::new(GateState {
            append_permits: Semaphore::new(0),
            begun_appends: AtomicUsize::new(0),
            events: AtomicUsize::new(0),
        }))
    }

    async fn wait_for_append(&self) {
        while self.0.begun_appends.load(Ordering::Relaxed) == 0 {
            yield_now().await;
        }
    }

    fn events(&self) -> usize {
        self.0.events.load(Ordering::Relaxed)
    }
}

impl FactStore for GatedLog {
    async fn append_facts(&self, facts: &[NewFact], _stream_events: u64) -> Result<Vec<FactOutcome>, StoreError> {
        self.0.begun_appends.fetch_add(1, Ordering::Relaxed);
        self.0.append_permits.acquire().await.unwrap().forget();
        self.0.events.fetch_add(facts.len(), Ordering::Relaxed);
        Ok(vec![FactOutcome::Recorded; facts.len()])
    }

    async fn existing_streams(
        &self,
        _aggregate_type: &'static str,
        _ids: &[String],
    ) -> Result<HashSet<String>, StoreError> {
        Ok(HashSet::new())
    }
}

fn gated_service(log: &GatedLog) -> Arc<IngestService<GatedLog>> {
    let config = IngestConfig { buffer_events: 100, async_events: 60, ..IngestConfig::default() };
    Arc::new(IngestService::new(&config, log.clone()))
}

fn start_service(service: &Arc<IngestService<GatedLog>>) -> (CancellationToken, JoinHandle<()>) {
    let (service, stop) = (Arc::clone(service), CancellationToken::new());
    let service_stop = stop.clone();
    (stop, tokio::spawn(async move { service.run(service_stop).await }))
}

/// Sends events of one visit like a client that sends `Prefer: respond-async`.
fn send_async(service: &IngestService<GatedLog>, count: usize) -> Result<EnqueuedRequest, EnqueueError> {
    let step = |number: usize| VisitStep {
        visit_id: VisitId::try_new("visit").unwrap(),
        client_event_id: None,
        command: VisitCommand::View(RecordView {
            page_url: VisitUrl::try_new(&format!("/{number}")).unwrap(),
            referrer: None,
            user_id: None,
            opportunity_id: None,
            at: DateTime::<Utc>::UNIX_EPOCH,
        }),
    };
    service.enqueue(&TenantId::public(), (0..count).map(|number| (number, step(number))).collect(), true)
}

#[tokio::test]
async fn only_events_that_can_be_written_in_time_are_acknowledged_early() {
    let service = gated_service(&GatedLog::closed());
    assert!(matches!(send_async(&service, 50), Ok(EnqueuedRequest::Acknowledged)));
    assert!(matches!(send_async(&service, 20), Ok(EnqueuedRequest::Pending(_))), "the client waits");
    assert!(matches!(send_async(&service, 31), Err(EnqueueError::BufferFull)));
    assert_eq!(service.unrecorded_events(), 50, "events of clients that wait are not counted");

    let slow = gated_service(&GatedLog::closed());
    slow.write_rate.record_batch(1_000, Duration::from_mins(10), true);
    assert!(
        matches!(send_async(&slow, 20), Ok(EnqueuedRequest::Pending(_))),
        "at this rate 8 events can be written in 5 s"
    );
    let failing = gated_service(&GatedLog::closed());
    failing.write_rate.record_batch(1, Duration::ZERO, false);
    assert!(matches!(send_async(&failing, 1), Ok(EnqueuedRequest::Pending(_))));
}

#[tokio::test]
async fn a_stop_refuses_new_events_and_writes_acknowledged_ones() {
    let log = GatedLog::closed();
    let service = gated_service(&log);
    let (stop, running) = start_service(&service);
    assert!(matches!(send_async(&service, 30), Ok(EnqueuedRequest::Acknowledged)));
    log.wait_for_append().await;
    assert!(matches!(send_async(&service, 20), Ok(EnqueuedRequest::Acknowledged)));
    stop.cancel();
    assert!(matches!(send_async(&service, 1), Err(EnqueueError::Stopping)), "at once, not after the append");
    assert_eq!((service.unrecorded_events(), log.events()), (50, 0));
    log.0.append_permits.add_permits(2);
    running.await.unwrap();
    assert_eq!((service.unrecorded_events(), log.events()), (0, 50));
}

#[tokio::test]
async fn a_slow_log_gets_small_batches_and_loses_no_event() {
    let log = GatedLog::closed();
    let service = gated_service(&log);
    service.write_rate.record_batch(1_000, Duration::from_mins(2), true);
    for _ in 0..3 {
        assert!(matches!(send_async(&service, 20), Ok(EnqueuedRequest::Acknowledged | EnqueuedRequest::Pending(_))));
    }
    let (stop, running) = start_service(&service);
    log.wait_for_append().await;
    log.0.append_permits.add_permits(1);
    while log.events() == 0 {
        yield_now().await;
    }
    assert_eq!(log.events(), 40, "41 can be written in the time that 202 relies on");
    log.0.append_permits.add_permits(1);
    stop.cancel();
    running.await.unwrap();
    assert_eq!((log.events(), service.unrecorded_events()), (60, 0));
}

#[tokio::test]
async fn events_that_a_stop_does_not_write_in_time_are_counted() {
    let log = GatedLog::closed();
    let service = gated_service(&log);
    let (stop, running) = start_service(&service);
    assert!(matches!(send_async(&service, 30), Ok(EnqueuedRequest::Acknowledged)));
    log.wait_for_append().await;
    stop.cancel();
    running.abort();
    assert!(running.await.is_err());
    assert_eq!(service.unrecorded_events(), 30);
}

#[test]
fn an_event_of_the_longest_values_fits_into_the_body_limit_per_event() {
    let texts = [("sessionId", 100), ("pageUrl", 2_048), ("referrer", 2_048), ("userId", 200), ("opportunityId", 200)];
    let event: serde_json::Map<_, _> =
        texts.into_iter().map(|(name, length)| (name.to_owned(), "x".repeat(length).into())).collect();
    let rest = r#","type":"view","at":"2026-03-03T12:00:00.000000000Z""#.len();
    assert!(serde_json::to_string(&event).unwrap().len() + rest < MAX_EVENT_BYTES);
}

#[test]
fn a_visit_always_has_the_same_lane_and_visits_are_distributed() {
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
