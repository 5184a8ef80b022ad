//! The second stage: encodes events, hands them to Kafka's producer, and publishes the partitions' watermarks by
//! beacons.

use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use domain::envelope::RawEnvelope;
use telemetry::{EventSpans, MessagingStep};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    RelayConfig,
    kafka_publisher::{BeaconTargets, KafkaPublisher},
    pending_deliveries::PendingDeliveries,
    record_encoder::RecordEncoder,
};
use crate::{error::LogError, lease::LeaseTerm, log::EventBatch};

/// Every partition gets a beacon at least this often, so that retention never deletes the last record with the
/// partition's watermark.
const BEACON_REFRESH_INTERVAL: Duration = Duration::from_hours(1);

/// Number of beacons that are sent at once between events.
const BEACONS_BETWEEN_EVENTS: usize = 2;

/// What the sender reports to the next stage, in order.
pub(super) enum SenderOutput {
    /// A batch, or a round of beacons.
    Batch(SentBatch),
    /// The event after the last batch cannot be published.
    Failed(LogError),
    /// The sender has ended.
    End,
}

/// Records that were handed to the producer together.
pub(super) struct SentBatch {
    pub(super) outstanding: Arc<PendingDeliveries>,
    /// Every event up to this position was handed to the producer, in this batch or before.
    pub(super) reached: u64,
    /// The log was complete up to this position when the batch was read.
    pub(super) fence: u64,
    /// Number of events among the records.
    pub(super) events: u64,
    /// When the oldest of the events was recorded.
    pub(super) oldest: Option<DateTime<Utc>>,
    /// Spans of the events; they end once the batch is acknowledged.
    pub(super) spans: EventSpans,
    /// Released once the batch is acknowledged, which allows the same number of further records.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Encodes and sends records.
pub(super) struct RecordSender {
    publisher: KafkaPublisher,
    encoder: RecordEncoder,
    /// Shows whether this relay leads: it sends nothing once it does not.
    term: LeaseTerm,
    beacon_every: Duration,
    beacon_due: Instant,
    refresh_due: Instant,
    /// Whether events were sent since the last beacons.
    sent_events: bool,
    position: u64,
    fence: u64,
    /// The saved checkpoint. Beacons do not exceed it: positions of appends that were rolled back may be assigned again
    /// after a crash of Postgres, unless something was committed after them.
    checkpoint: watch::Receiver<u64>,
    /// Bounds the records that Kafka has not acknowledged.
    permits: Arc<Semaphore>,
    max_in_flight: u32,
}

impl RecordSender {
    /// Creates a sender that starts at the position of `checkpoint`.
    pub(super) fn new(
        publisher: KafkaPublisher,
        encoder: RecordEncoder,
        config: &RelayConfig,
        checkpoint: watch::Receiver<u64>,
        term: LeaseTerm,
    ) -> Self {
        let now = Instant::now();
        let position = *checkpoint.borrow();
        let (beacon_due, refresh_due) = (now, now + BEACON_REFRESH_INTERVAL);
        let max_in_flight = config.max_in_flight();
        Self {
            publisher,
            encoder,
            term,
            beacon_every: config.beacon_interval(),
            beacon_due,
            refresh_due,
            sent_events: false,
            position,
            fence: position,
            checkpoint,
            permits: Arc::new(Semaphore::new(usize::try_from(max_in_flight).unwrap_or(Semaphore::MAX_PERMITS))),
            max_in_flight,
        }
    }

    /// Runs until the source or the next stage ends.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<EventBatch>,
        sent: mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<(), LogError> {
        if self.open_partitions(&sent).await?.is_break() {
            return Ok(());
        }
        loop {
            let lags = self.publisher.has_lagging_partition(*self.checkpoint.borrow_and_update());
            let flow = tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.send_batch(batch, &sent).await?,
                    None => break,
                },
                () = sleep_until(self.beacon_due), if lags => self.send_due_beacons(&sent).await?,
                () = sleep_until(self.refresh_due) => self.refresh_beacons(&sent).await?,
                // Wakes up when the checkpoint moves, since partitions may then lag behind it.
                Ok(()) = self.checkpoint.changed(), if !lags => continue,
                () = sent.closed() => return Ok(()),
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        // Dropping the producer purges undelivered records, so this holds it until the next stage has ended.
        if sent.send(SenderOutput::End).is_ok() {
            sent.closed().await;
        }
        Ok(())
    }

    /// Writes a beacon to every partition and waits until all are acknowledged, before any event.
    ///
    /// A broker that has no record of a producer on a partition accepts every sequence number from it. If it refused the
    /// first of several requests, since it does not lead the partition yet, and then accepted the second, the first could never
    /// be sent again: the events of the second would be the end of the partition, and count as preceded by those of the first.
    async fn open_partitions(
        &mut self,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        if self.send_beacons(BeaconTargets::All, sent).await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let all_permits = usize::try_from(self.max_in_flight).unwrap_or(usize::MAX);
        Ok(match self.acquire_permits(all_permits, sent).await {
            Some(_all_acknowledged) => ControlFlow::Continue(()),
            None => ControlFlow::Break(()),
        })
    }

    async fn send_batch(
        &mut self,
        batch: EventBatch,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        let Some(permit) = self.acquire_permits(batch.events.len(), sent).await else {
            return Ok(ControlFlow::Break(()));
        };
        let outstanding = PendingDeliveries::new();
        self.fence = batch.fence;
        self.sent_events |= !batch.events.is_empty();
        let (start, mut traced) = (SystemTime::now(), vec![]);
        let (mut events, mut reached, mut failure) = (0, batch.watermark, None);
        for event in &batch.events {
            match self.send_event(event, &outstanding).await {
                Ok(written) => {
                    events += u64::from(written);
                    if written && !event.metadata.traceparent.is_empty() {
                        traced.push(event);
                    }
                }
                Err(error) => {
                    reached = self.position;
                    failure = Some(error);
                    break;
                }
            }
            self.position = event.position;
        }
        self.position = reached;
        let spans = self.start_spans(start, &traced);
        let oldest = batch.events.first().map(|event| event.recorded_at);
        let flow = Self::hand_over(
            SentBatch { outstanding, reached, fence: self.fence, events, oldest, spans, _permit: permit },
            sent,
        );
        if let Some(error) = failure {
            // Keeps the producer until the records before the failed event are acknowledged.
            if sent.send(SenderOutput::Failed(error)).is_ok() {
                sent.closed().await;
            }
            return Ok(ControlFlow::Break(()));
        }
        Ok(flow)
    }

    /// Starts the spans of events that were sent from `start` on.
    fn start_spans(&self, start: SystemTime, events: &[&RawEnvelope]) -> EventSpans {
        let traces =
            events.iter().filter_map(|event| Some((self.publisher.topic_name(event)?, &*event.metadata.traceparent)));
        EventSpans::start(MessagingStep::Send, start, traces)
    }

    /// Waits until Kafka has acknowledged enough records to send `records` more; `None` when the next stage has ended.
    async fn acquire_permits(
        &self,
        records: usize,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(records).unwrap_or(u32::MAX).clamp(1, self.max_in_flight);
        tokio::select! {
            permit = Arc::clone(&self.permits).acquire_many_owned(wanted) => permit.ok(),
            () = sent.closed() => None,
        }
    }

    /// Returns `false` when the event was on its partition already.
    async fn send_event(
        &mut self,
        event: &RawEnvelope,
        outstanding: &Arc<PendingDeliveries>,
    ) -> Result<bool, LogError> {
        let Some(target) = self.publisher.target_partition(event)? else { return Ok(false) };
        self.check_leadership()?;
        let value = self.encoder.encode(event).await?;
        self.publisher.publish_event(target, event, value, outstanding).await?;
        Ok(true)
    }

    /// Called before each record: a process that was suspended may resume after another relay has taken the lead.
    fn check_leadership(&self) -> Result<(), LogError> {
        if self.term.is_current() { Ok(()) } else { Err(LogError::LeadershipLost) }
    }

    /// Sends beacons to all lagging partitions at once while there are no events. Between events it sends a few at a
    /// time: each partition is a separate request to the broker, and events would wait for all of them.
    async fn send_due_beacons(
        &mut self,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        let (max_count, pause) = if std::mem::take(&mut self.sent_events) {
            let rounds = self.publisher.partition_count().div_ceil(BEACONS_BETWEEN_EVENTS).max(1);
            (BEACONS_BETWEEN_EVENTS, self.beacon_every / u32::try_from(rounds).unwrap_or(u32::MAX))
        } else {
            (usize::MAX, self.beacon_every)
        };
        self.beacon_due = Instant::now() + pause;
        self.send_beacons(BeaconTargets::Lagging { max_count }, sent).await
    }

    async fn refresh_beacons(
        &mut self,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        self.refresh_due = Instant::now() + BEACON_REFRESH_INTERVAL;
        self.send_beacons(BeaconTargets::All, sent).await
    }

    async fn send_beacons(
        &mut self,
        targets: BeaconTargets,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        let Some(permit) = self.acquire_permits(1, sent).await else { return Ok(ControlFlow::Break(())) };
        self.check_leadership()?;
        let outstanding = PendingDeliveries::new();
        let checkpoint = *self.checkpoint.borrow();
        self.publisher.publish_beacons(checkpoint, targets, &outstanding).await?;
        let (reached, fence) = (self.position, self.fence);
        let spans = EventSpans::default();
        let batch = SentBatch { outstanding, reached, fence, events: 0, oldest: None, spans, _permit: permit };
        Ok(Self::hand_over(batch, sent))
    }

    /// Passes a batch to the next stage; `Break` when the next stage has ended.
    fn hand_over(batch: SentBatch, sent: &mpsc::UnboundedSender<SenderOutput>) -> ControlFlow<()> {
        // Completes the sender's own count: from here on only Kafka's acknowledgements are pending.
        batch.outstanding.complete_record();
        match sent.send(SenderOutput::Batch(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_receiver_gone) => ControlFlow::Break(()),
        }
    }
}
