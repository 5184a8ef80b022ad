//! The second stage: encodes events, hands them to Kafka's producer, and says with beacons how far partitions are.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use domain::envelope::RawRecorded;
use schemas::registry::Registry;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{delivery::Outstanding, publisher::Publisher, record::Encoder};
use crate::{error::LogError, reader::Batch};

/// Every partition gets a beacon at least this often, so that retention never takes the last record that says how far
/// the partition had come.
const REFRESH: Duration = Duration::from_hours(1);

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
}

/// Encodes and sends.
pub(super) struct Sender {
    publisher: Publisher,
    encoder: Encoder,
    beacon_every: Duration,
    beacon_due: Instant,
    refresh_due: Instant,
    position: u64,
    fence: u64,
    /// How far the checkpoint has come. Beacons say no more: positions that nobody filled, because their append was
    /// rolled back, may be given out again after a crash of Postgres unless something was committed behind them.
    saved: watch::Receiver<u64>,
}

impl Sender {
    /// A sender behind `saved`, the position of the checkpoint.
    pub(super) fn new(
        publisher: Publisher,
        registry: Registry,
        beacon_every: Duration,
        saved: watch::Receiver<u64>,
    ) -> Self {
        let now = Instant::now();
        let position = *saved.borrow();
        let encoder = Encoder::new(registry);
        let (beacon_due, refresh_due) = (now, now + REFRESH);
        Self { publisher, encoder, beacon_every, beacon_due, refresh_due, position, fence: position, saved }
    }

    /// Sends until no more batches come, or until nobody listens.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Batch>,
        sent: mpsc::Sender<Sent>,
    ) -> Result<(), LogError> {
        loop {
            let lags = self.publisher.lags(*self.saved.borrow_and_update());
            let flow = tokio::select! {
                batch = batches.recv() => match batch {
                    Some(batch) => self.send(batch, &sent).await?,
                    None => break,
                },
                () = sleep_until(self.beacon_due), if lags => self.beacon(false, &sent).await?,
                () = sleep_until(self.refresh_due) => self.beacon(true, &sent).await?,
                // The checkpoint moves after the acknowledgement, when nothing may be left to send.
                Ok(()) = self.saved.changed(), if !lags => continue,
                () = sent.closed() => return Ok(()),
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        // The producer goes with this stage, and with the producer what it has not yet delivered.
        let _nobody_listens = sent.send(Sent::End).await;
        sent.closed().await;
        Ok(())
    }

    async fn send(&mut self, batch: Batch, sent: &mpsc::Sender<Sent>) -> Result<ControlFlow<()>, LogError> {
        let outstanding = Outstanding::new();
        self.fence = batch.fence;
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
        let told = Self::tell(outstanding, SentBatch { events, oldest, ..self.sent() }, sent).await;
        if let Some(error) = stop {
            // What came before it is acknowledged first.
            let _nobody_listens = sent.send(Sent::Stop(error)).await;
            sent.closed().await;
            return Ok(ControlFlow::Break(()));
        }
        Ok(told)
    }

    /// False when the event was there already.
    async fn send_event(&mut self, event: &RawRecorded, outstanding: &Arc<Outstanding>) -> Result<bool, LogError> {
        let Some(place) = self.publisher.place(event)? else { return Ok(false) };
        let value = self.encoder.encode(event).await?;
        self.publisher.write(place, event, value, outstanding).await?;
        Ok(true)
    }

    async fn beacon(&mut self, all: bool, sent: &mpsc::Sender<Sent>) -> Result<ControlFlow<()>, LogError> {
        let now = Instant::now();
        self.beacon_due = now + self.beacon_every;
        if all {
            self.refresh_due = now + REFRESH;
        }
        let outstanding = Outstanding::new();
        let saved = *self.saved.borrow();
        self.publisher.beacon(saved, all, &outstanding).await?;
        Ok(Self::tell(outstanding, self.sent(), sent).await)
    }

    fn sent(&self) -> SentBatch {
        let outstanding = Outstanding::new();
        SentBatch { outstanding, reached: self.position, fence: self.fence, events: 0, oldest: None }
    }

    /// Break when nobody listens any more.
    async fn tell(outstanding: Arc<Outstanding>, batch: SentBatch, sent: &mpsc::Sender<Sent>) -> ControlFlow<()> {
        // The sender's own count: from here on only Kafka is awaited.
        outstanding.done();
        let batch = SentBatch { outstanding, ..batch };
        match sent.send(Sent::Batch(batch)).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_nobody_listens) => ControlFlow::Break(()),
        }
    }
}
