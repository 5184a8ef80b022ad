//! The last stage: awaits Kafka's acknowledgement, batch by batch, and moves the checkpoint behind it.

use std::time::Duration;

use domain::clock::{Clock, SystemClock};
use sqlx::PgPool;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use super::{
    RelayStatus, checkpoint, metric,
    send::{Sent, SentBatch},
};
use crate::{error::LogError, postgres::within};

/// The checkpoint is written this often at most: it saves re-reading after a crash, and the ends of the partitions
/// say the rest.
const SAVE_EVERY: Duration = Duration::from_millis(100);
/// After how long without an acknowledgement the relay says that it waits.
const SLOW: Duration = Duration::from_secs(5);

/// Awaits Kafka.
pub(super) struct Acknowledger {
    pool: PgPool,
    incarnation: Uuid,
    /// The epoch of the lease under which this relay leads.
    epoch: i64,
    /// How long Postgres may take to move the checkpoint.
    patience: Duration,
    status: watch::Sender<RelayStatus>,
    /// What the checkpoint says, for those who may not say more than it does.
    saved: watch::Sender<u64>,
    /// What is acknowledged and not yet in the checkpoint.
    unsaved: Option<u64>,
    save_due: Instant,
}

impl Acknowledger {
    pub(super) fn new(
        pool: PgPool,
        (incarnation, epoch): (Uuid, i64),
        patience: Duration,
        status: watch::Sender<RelayStatus>,
        saved: watch::Sender<u64>,
    ) -> Self {
        Self { pool, incarnation, epoch, patience, status, saved, unsaved: None, save_due: Instant::now() }
    }

    /// Works until nothing more is sent.
    pub(super) async fn run(mut self, mut sent: mpsc::UnboundedReceiver<Sent>) -> Result<(), LogError> {
        loop {
            let next = match self.unsaved {
                None => sent.recv().await,
                Some(_) => match timeout_at(self.save_due, sent.recv()).await {
                    Ok(next) => next,
                    Err(_elapsed) => {
                        self.save().await?;
                        continue;
                    }
                },
            };
            match next {
                Some(Sent::Batch(batch)) => self.await_kafka(batch).await?,
                Some(Sent::Stop(error)) => {
                    self.save().await?;
                    return Err(error);
                }
                Some(Sent::End) | None => return self.save().await,
            }
        }
    }

    async fn await_kafka(&mut self, batch: SentBatch) -> Result<(), LogError> {
        let mut waited = Duration::ZERO;
        loop {
            metric::unacknowledged(batch.outstanding.count());
            match timeout(SLOW, batch.outstanding.settled()).await {
                Ok(settled) => break settled?,
                Err(_elapsed) => {
                    waited += SLOW;
                    self.say_that_kafka_is_slow(&batch, waited);
                    self.save().await?;
                }
            }
        }
        metric::acknowledged(&batch, SystemClock.now());
        self.status.send_modify(|status| {
            status.position = batch.reached;
            status.fence = batch.fence;
            status.published += batch.events;
            status.last_error = None;
        });
        self.unsaved = Some(batch.reached);
        if Instant::now() >= self.save_due {
            self.save().await?;
        }
        Ok(())
    }

    fn say_that_kafka_is_slow(&self, batch: &SentBatch, waited: Duration) {
        let (records, waited_s) = (batch.outstanding.count(), waited.as_secs());
        tracing::warn!(relay.waiting = records, waited_s, "Kafka does not acknowledge, waiting on");
        let text = format!("Kafka has not acknowledged {records} records for {waited_s} s");
        self.status.send_modify(|status| status.last_error = Some(text));
    }

    async fn save(&mut self) -> Result<(), LogError> {
        if let Some(position) = self.unsaved.take() {
            let saving = checkpoint::save(&self.pool, self.incarnation, position, self.epoch);
            within(self.patience, "moving the relay's checkpoint", saving).await?;
            self.saved.send_replace(position);
            self.save_due = Instant::now() + SAVE_EVERY;
        }
        Ok(())
    }
}
