//! The second stage: encodes events, hands them to Kafka's producer, and says with beacons how far partitions are.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::envelope::RawEnvelope;
use schemas::registry_client::SchemaRegistryClient;
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

/// Every partition gets a beacon at least this often, so that retention never takes the last record that says how far
/// the partition had come.
const BEACON_REFRESH_INTERVAL: Duration = Duration::from_hours(1);

/// Beacons that are sent at once while events come, too.
const BEACONS_BETWEEN_EVENTS: usize = 2;

/// What was handed to the producer, in order.
pub(super) enum SenderOutput {
    /// A batch, or a round of beacons.
    Batch(SentBatch),
    /// The event after the last batch cannot be published.
    Failed(LogError),
    /// Nothing more comes.
    End,
}

/// Records that were handed to the producer together.
pub(super) struct SentBatch {
    pub(super) outstanding: Arc<PendingDeliveries>,
    /// Everything up to here was handed over before.
    pub(super) reached: u64,
    /// The log was complete up to here when it was read.
    pub(super) fence: u64,
    /// Events among the records.
    pub(super) events: u64,
    /// When the log took the oldest of the events.
    pub(super) oldest: Option<DateTime<Utc>>,
    /// Makes room for as many records once this batch is acknowledged.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Encodes and sends.
pub(super) struct RecordSender {
    publisher: KafkaPublisher,
    encoder: RecordEncoder,
    /// Whether this relay leads: nothing is handed over once it does not.
    term: LeaseTerm,
    beacon_every: Duration,
    beacon_due: Instant,
    refresh_due: Instant,
    /// Whether events were sent since the last beacons.
    sent_events: bool,
    position: u64,
    fence: u64,
    /// How far the checkpoint has come. Beacons say no more: positions that nobody filled, because their append was
    /// rolled back, may be given out again after a crash of Postgres unless something was committed behind them.
    checkpoint: watch::Receiver<u64>,
    /// Room for records that Kafka has not acknowledged.
    permits: Arc<Semaphore>,
    max_in_flight: u32,
}

impl RecordSender {
    /// A sender behind `saved`, the position of the checkpoint.
    pub(super) fn new(
        publisher: KafkaPublisher,
        registry: SchemaRegistryClient,
        config: &RelayConfig,
        saved: watch::Receiver<u64>,
        term: LeaseTerm,
    ) -> Self {
        let now = Instant::now();
        let position = *saved.borrow();
        let encoder = RecordEncoder::new(registry);
        let (beacon_due, refresh_due) = (now, now + BEACON_REFRESH_INTERVAL);
        let most_in_flight = config.max_in_flight();
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
            checkpoint: saved,
            permits: Arc::new(Semaphore::new(usize::try_from(most_in_flight).unwrap_or(Semaphore::MAX_PERMITS))),
            max_in_flight: most_in_flight,
        }
    }

    /// Sends until no more batches come, or until nobody listens.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<EventBatch>,
        sent: mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<(), LogError> {
        loop {
            let lags = self.publisher.has_lagging_partition(*self.checkpoint.borrow_and_update());
            let flow = tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.send_batch(batch, &sent).await?,
                    None => break,
                },
                () = sleep_until(self.beacon_due), if lags => self.send_due_beacons(&sent).await?,
                () = sleep_until(self.refresh_due) => self.refresh_beacons(&sent).await?,
                // The checkpoint moves after the acknowledgement, when nothing may be left to send.
                Ok(()) = self.checkpoint.changed(), if !lags => continue,
                () = sent.closed() => return Ok(()),
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        // The producer goes with this stage, and with the producer what it has not yet delivered.
        if sent.send(SenderOutput::End).is_ok() {
            sent.closed().await;
        }
        Ok(())
    }

    async fn send_batch(
        &mut self,
        batch: EventBatch,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        let Some(room) = self.acquire_permits(batch.events.len(), sent).await else {
            return Ok(ControlFlow::Break(()));
        };
        let outstanding = PendingDeliveries::new();
        self.fence = batch.fence;
        self.sent_events |= !batch.events.is_empty();
        let (mut events, mut reached, mut stop) = (0, batch.watermark, None);
        for event in &batch.events {
            match self.send_event(event, &outstanding).await {
                Ok(written) => events += u64::from(written),
                Err(error) => {
                    reached = self.position;
                    stop = Some(error);
                    break;
                }
            }
            self.position = event.position;
        }
        self.position = reached;
        let oldest = batch.events.first().map(|event| event.recorded_at);
        let told =
            Self::hand_over(SentBatch { outstanding, reached, fence: self.fence, events, oldest, _permit: room }, sent);
        if let Some(error) = stop {
            // What came before it is acknowledged first.
            if sent.send(SenderOutput::Failed(error)).is_ok() {
                sent.closed().await;
            }
            return Ok(ControlFlow::Break(()));
        }
        Ok(told)
    }

    /// Waits until Kafka has acknowledged enough to send so many more; `None` when nobody listens any more.
    async fn acquire_permits(
        &self,
        records: usize,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(records).unwrap_or(u32::MAX).clamp(1, self.max_in_flight);
        tokio::select! {
            room = Arc::clone(&self.permits).acquire_many_owned(wanted) => room.ok(),
            () = sent.closed() => None,
        }
    }

    /// False when the event was there already.
    async fn send_event(
        &mut self,
        event: &RawEnvelope,
        outstanding: &Arc<PendingDeliveries>,
    ) -> Result<bool, LogError> {
        let Some(place) = self.publisher.target_partition(event)? else { return Ok(false) };
        self.check_leadership()?;
        let value = self.encoder.encode(event).await?;
        self.publisher.publish_event(place, event, value, outstanding).await?;
        Ok(true)
    }

    /// A process that stood still may wake up when somebody else leads.
    fn check_leadership(&self) -> Result<(), LogError> {
        if self.term.is_current() { Ok(()) } else { Err(LogError::LeadershipLost) }
    }

    /// To all that lag behind at once while nothing comes. Between events a few at a time: each partition is a request
    /// of its own to the broker, and events would wait behind all of them.
    async fn send_due_beacons(
        &mut self,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        let (most, pause) = if std::mem::take(&mut self.sent_events) {
            let rounds = self.publisher.partition_count().div_ceil(BEACONS_BETWEEN_EVENTS).max(1);
            (BEACONS_BETWEEN_EVENTS, self.beacon_every / u32::try_from(rounds).unwrap_or(u32::MAX))
        } else {
            (usize::MAX, self.beacon_every)
        };
        self.beacon_due = Instant::now() + pause;
        self.send_beacons(BeaconTargets::Lagging { most }, sent).await
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
        beacons: BeaconTargets,
        sent: &mpsc::UnboundedSender<SenderOutput>,
    ) -> Result<ControlFlow<()>, LogError> {
        let Some(room) = self.acquire_permits(1, sent).await else { return Ok(ControlFlow::Break(())) };
        self.check_leadership()?;
        let outstanding = PendingDeliveries::new();
        let saved = *self.checkpoint.borrow();
        self.publisher.publish_beacons(saved, beacons, &outstanding).await?;
        let (reached, fence) = (self.position, self.fence);
        Ok(Self::hand_over(SentBatch { outstanding, reached, fence, events: 0, oldest: None, _permit: room }, sent))
    }

    /// Break when nobody listens any more.
    fn hand_over(batch: SentBatch, sent: &mpsc::UnboundedSender<SenderOutput>) -> ControlFlow<()> {
        // The sender's own count: from here on only Kafka is awaited.
        batch.outstanding.complete_record();
        match sent.send(SenderOutput::Batch(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_nobody_listens) => ControlFlow::Break(()),
        }
    }
}
