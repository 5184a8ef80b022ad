//! The second stage: encodes events, hands them to Kafka's producer, and says with beacons how far partitions are.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::envelope::RawRecorded;
use schemas::registry::Registry;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    RelayConfig,
    delivery::Outstanding,
    publisher::{Beacons, Publisher},
    record::Encoder,
};
use crate::{error::LogError, lease::LeaseTerm, reader::Batch};

/// Every partition gets a beacon at least this often, so that retention never takes the last record that says how far
/// the partition had come.
const REFRESH: Duration = Duration::from_hours(1);

/// Beacons that are sent at once while events come, too.
const BEACONS_BETWEEN_EVENTS: usize = 2;

/// What was handed to the producer, in order.
pub(super) enum Sent {
    /// A batch, or a round of beacons.
    Batch(SentBatch),
    /// The event after the last batch cannot be published.
    Stop(LogError),
    /// Nothing more comes.
    End,
}

/// Records that were handed to the producer together.
pub(super) struct SentBatch {
    pub(super) outstanding: Arc<Outstanding>,
    /// Everything up to here was handed over before.
    pub(super) reached: u64,
    /// The log was complete up to here when it was read.
    pub(super) fence: u64,
    /// Events among the records.
    pub(super) events: u64,
    /// When the log took the oldest of the events.
    pub(super) oldest: Option<DateTime<Utc>>,
    /// Makes room for as many records once this batch is acknowledged.
    pub(super) _room: OwnedSemaphorePermit,
}

/// Encodes and sends.
pub(super) struct Sender {
    publisher: Publisher,
    encoder: Encoder,
    /// Whether this relay leads: nothing is handed over once it does not.
    term: LeaseTerm,
    beacon_every: Duration,
    beacon_due: Instant,
    refresh_due: Instant,
    /// Whether events were sent since the last beacons.
    busy: bool,
    position: u64,
    fence: u64,
    /// How far the checkpoint has come. Beacons say no more: positions that nobody filled, because their append was
    /// rolled back, may be given out again after a crash of Postgres unless something was committed behind them.
    saved: watch::Receiver<u64>,
    /// Room for records that Kafka has not acknowledged.
    room: Arc<Semaphore>,
    most_in_flight: u32,
}

impl Sender {
    /// A sender behind `saved`, the position of the checkpoint.
    pub(super) fn new(
        publisher: Publisher,
        registry: Registry,
        config: &RelayConfig,
        saved: watch::Receiver<u64>,
        term: LeaseTerm,
    ) -> Self {
        let now = Instant::now();
        let position = *saved.borrow();
        let encoder = Encoder::new(registry);
        let (beacon_due, refresh_due) = (now, now + REFRESH);
        let most_in_flight = config.in_flight();
        Self {
            publisher,
            encoder,
            term,
            beacon_every: config.beacon(),
            beacon_due,
            refresh_due,
            busy: false,
            position,
            fence: position,
            saved,
            room: Arc::new(Semaphore::new(usize::try_from(most_in_flight).unwrap_or(Semaphore::MAX_PERMITS))),
            most_in_flight,
        }
    }

    /// Sends until no more batches come, or until nobody listens.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Batch>,
        sent: mpsc::UnboundedSender<Sent>,
    ) -> Result<(), LogError> {
        loop {
            let lags = self.publisher.lags(*self.saved.borrow_and_update());
            let flow = tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.send(batch, &sent).await?,
                    None => break,
                },
                () = sleep_until(self.beacon_due), if lags => self.beacon_in_turn(&sent).await?,
                () = sleep_until(self.refresh_due) => self.refresh(&sent).await?,
                // The checkpoint moves after the acknowledgement, when nothing may be left to send.
                Ok(()) = self.saved.changed(), if !lags => continue,
                () = sent.closed() => return Ok(()),
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        // The producer goes with this stage, and with the producer what it has not yet delivered.
        if sent.send(Sent::End).is_ok() {
            sent.closed().await;
        }
        Ok(())
    }

    async fn send(&mut self, batch: Batch, sent: &mpsc::UnboundedSender<Sent>) -> Result<ControlFlow<()>, LogError> {
        let Some(room) = self.room_for(batch.events.len(), sent).await else { return Ok(ControlFlow::Break(())) };
        let outstanding = Outstanding::new();
        self.fence = batch.fence;
        self.busy |= !batch.events.is_empty();
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
        let told = Self::tell(SentBatch { outstanding, reached, fence: self.fence, events, oldest, _room: room }, sent);
        if let Some(error) = stop {
            // What came before it is acknowledged first.
            if sent.send(Sent::Stop(error)).is_ok() {
                sent.closed().await;
            }
            return Ok(ControlFlow::Break(()));
        }
        Ok(told)
    }

    /// Waits until Kafka has acknowledged enough to send so many more; `None` when nobody listens any more.
    async fn room_for(&self, records: usize, sent: &mpsc::UnboundedSender<Sent>) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(records).unwrap_or(u32::MAX).clamp(1, self.most_in_flight);
        tokio::select! {
            room = Arc::clone(&self.room).acquire_many_owned(wanted) => room.ok(),
            () = sent.closed() => None,
        }
    }

    /// False when the event was there already.
    async fn send_event(&mut self, event: &RawRecorded, outstanding: &Arc<Outstanding>) -> Result<bool, LogError> {
        let Some(place) = self.publisher.place(event)? else { return Ok(false) };
        self.check_lead()?;
        let value = self.encoder.encode(event).await?;
        self.publisher.write(place, event, value, outstanding).await?;
        Ok(true)
    }

    /// A process that stood still may wake up when somebody else leads.
    fn check_lead(&self) -> Result<(), LogError> {
        if self.term.is_current() { Ok(()) } else { Err(LogError::LostLead) }
    }

    /// To all that lag behind at once while nothing comes. Between events a few at a time: each partition is a request
    /// of its own to the broker, and events would wait behind all of them.
    async fn beacon_in_turn(&mut self, sent: &mpsc::UnboundedSender<Sent>) -> Result<ControlFlow<()>, LogError> {
        let (most, pause) = if std::mem::take(&mut self.busy) {
            let rounds = self.publisher.partitions().div_ceil(BEACONS_BETWEEN_EVENTS).max(1);
            (BEACONS_BETWEEN_EVENTS, self.beacon_every / u32::try_from(rounds).unwrap_or(u32::MAX))
        } else {
            (usize::MAX, self.beacon_every)
        };
        self.beacon_due = Instant::now() + pause;
        self.beacon(Beacons::Lagging { most }, sent).await
    }

    async fn refresh(&mut self, sent: &mpsc::UnboundedSender<Sent>) -> Result<ControlFlow<()>, LogError> {
        self.refresh_due = Instant::now() + REFRESH;
        self.beacon(Beacons::All, sent).await
    }

    async fn beacon(
        &mut self,
        beacons: Beacons,
        sent: &mpsc::UnboundedSender<Sent>,
    ) -> Result<ControlFlow<()>, LogError> {
        let Some(room) = self.room_for(1, sent).await else { return Ok(ControlFlow::Break(())) };
        self.check_lead()?;
        let outstanding = Outstanding::new();
        let saved = *self.saved.borrow();
        self.publisher.beacon(saved, beacons, &outstanding).await?;
        let (reached, fence) = (self.position, self.fence);
        Ok(Self::tell(SentBatch { outstanding, reached, fence, events: 0, oldest: None, _room: room }, sent))
    }

    /// Break when nobody listens any more.
    fn tell(batch: SentBatch, sent: &mpsc::UnboundedSender<Sent>) -> ControlFlow<()> {
        // The sender's own count: from here on only Kafka is awaited.
        batch.outstanding.done();
        match sent.send(Sent::Batch(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_nobody_listens) => ControlFlow::Break(()),
        }
    }
}
