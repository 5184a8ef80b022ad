//! The last stage: waits for Kafka's acknowledgement of each batch, and then moves the checkpoint.

use std::time::Duration;

use domain::clock::{Clock, SystemClock};
use sqlx::PgPool;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout, timeout_at},
};
use uuid::Uuid;

use super::{
    RelayStatus,
    broker_connection::BrokerConnection,
    checkpoint,
    record_sender::{SenderOutput, SentBatch},
    relay_metrics,
};
use crate::{error::LogError, postgres::with_timeout};

/// Minimum interval between two writes of the checkpoint. The checkpoint only shortens the reading after a crash: the
/// ends of the partitions show which events are published.
const SAVE_INTERVAL: Duration = Duration::from_millis(100);
/// Interval at which a missing acknowledgement is reported.
const SLOW_ACKNOWLEDGEMENT: Duration = Duration::from_secs(5);

/// Waits for acknowledgements and saves the checkpoint.
pub(super) struct AcknowledgementTracker {
    pool: PgPool,
    incarnation: Uuid,
    /// Epoch of the lease under which this relay leads.
    epoch: i64,
    /// Time limit of writing the checkpoint.
    save_timeout: Duration,
    connection: BrokerConnection,
    status: watch::Sender<RelayStatus>,
    /// Passes the saved checkpoint to the sender, whose beacons must not exceed it.
    checkpoint: watch::Sender<u64>,
    /// The acknowledged position, if the checkpoint does not contain it yet.
    unsaved: Option<u64>,
    save_due: Instant,
}

impl AcknowledgementTracker {
    pub(super) fn new(
        pool: PgPool,
        (incarnation, epoch): (Uuid, i64),
        save_timeout: Duration,
        connection: BrokerConnection,
        status: watch::Sender<RelayStatus>,
        checkpoint: watch::Sender<u64>,
    ) -> Self {
        Self {
            pool,
            incarnation,
            epoch,
            save_timeout,
            connection,
            status,
            checkpoint,
            unsaved: None,
            save_due: Instant::now(),
        }
    }

    /// Runs until the sender ends.
    pub(super) async fn run(mut self, mut sent: mpsc::UnboundedReceiver<SenderOutput>) -> Result<(), LogError> {
        loop {
            let next = match self.unsaved {
                None => sent.recv().await,
                Some(_) => match timeout_at(self.save_due, sent.recv()).await {
                    Ok(next) => next,
                    Err(_elapsed) => {
                        self.save_checkpoint().await?;
                        continue;
                    }
                },
            };
            match next {
                Some(SenderOutput::Batch(batch)) => self.await_acknowledgement(batch).await?,
                Some(SenderOutput::Failed(error)) => {
                    self.save_checkpoint().await?;
                    return Err(error);
                }
                Some(SenderOutput::End) | None => return self.save_checkpoint().await,
            }
        }
    }

    async fn await_acknowledgement(&mut self, batch: SentBatch) -> Result<(), LogError> {
        let mut waited = Duration::ZERO;
        // The number of records that waited when the connection was found lost.
        let mut waiting_without_broker = None;
        loop {
            relay_metrics::set_unacknowledged(batch.outstanding.count());
            match timeout(SLOW_ACKNOWLEDGEMENT, batch.outstanding.wait_until_acknowledged()).await {
                Ok(acknowledged) => break acknowledged.inspect_err(|error| batch.spans.record_failure(error))?,
                Err(_elapsed) => {
                    waited += SLOW_ACKNOWLEDGEMENT;
                    self.report_slow_acknowledgement(&batch, waited);
                    self.save_checkpoint().await?;
                    let waiting = self.connection.is_lost().await.then(|| batch.outstanding.count());
                    let is_lost = waiting.is_some_and(|records| records > 0) && waiting == waiting_without_broker;
                    waiting_without_broker = waiting;
                    // Twice, because a broker under load may answer the second client late.
                    if is_lost {
                        let lost = LogError::LostBroker { records: batch.outstanding.count() };
                        batch.spans.record_failure(&lost);
                        return Err(lost);
                    }
                }
            }
        }
        relay_metrics::record_acknowledged(&batch, SystemClock.now());
        self.status.send_modify(|status| {
            status.position = batch.reached;
            status.fence = batch.fence;
            status.published += batch.events;
            status.last_error = None;
        });
        self.unsaved = Some(batch.reached);
        if Instant::now() >= self.save_due {
            self.save_checkpoint().await?;
        }
        Ok(())
    }

    fn report_slow_acknowledgement(&self, batch: &SentBatch, waited: Duration) {
        let (records, waited_s) = (batch.outstanding.count(), waited.as_secs());
        tracing::warn!(relay.waiting = records, waited_s, "Kafka has not acknowledged records, still waiting");
        let text = format!("Kafka has not acknowledged {records} records for {waited_s} s");
        self.status.send_modify(|status| status.last_error = Some(text));
    }

    async fn save_checkpoint(&mut self) -> Result<(), LogError> {
        if let Some(position) = self.unsaved.take() {
            let saving = checkpoint::save_checkpoint(&self.pool, self.incarnation, position, self.epoch);
            with_timeout(self.save_timeout, "moving the relay's checkpoint", saving).await?;
            self.checkpoint.send_replace(position);
            self.save_due = Instant::now() + SAVE_INTERVAL;
        }
        Ok(())
    }
}
