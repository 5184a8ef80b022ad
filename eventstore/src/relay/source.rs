//! The first stage: reads the completed prefix of the log in batches.

use std::time::Duration;

use domain::envelope::RawRecorded;
use sqlx::{Connection, PgConnection};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{RelayConfig, metric};
use crate::{
    error::{LogError, postgres},
    reader,
};

/// How often a leader that has nothing to read makes sure that it still leads.
const PROOF_OF_LIFE: Duration = Duration::from_millis(500);

/// Events in the order of their positions.
pub(super) struct Batch {
    pub(super) events: Vec<RawRecorded>,
    /// With this batch everything up to here is read: its last event, or the fence where only gaps are left below it.
    pub(super) reached: u64,
    /// The log was complete up to here when it was read.
    pub(super) fence: u64,
}

/// Reads the log from a position on.
pub(super) struct Source {
    batch_events: u32,
    poll: (Duration, Duration),
    position: u64,
}

impl Source {
    pub(super) fn new(config: &RelayConfig, position: u64) -> Self {
        Self { batch_events: config.batch_events.max(1), poll: config.poll(), position }
    }

    /// Reads until `shutdown`, or until nobody takes batches any more.
    pub(super) async fn run(
        mut self,
        connection: &mut PgConnection,
        batches: mpsc::Sender<Batch>,
        shutdown: &CancellationToken,
    ) -> Result<(), LogError> {
        let (shortest, longest) = self.poll;
        let mut idle = shortest;
        loop {
            if shutdown.is_cancelled() {
                return Ok(());
            }
            let fence = reader::completed_prefix(connection).await?;
            metric::fence(fence);
            if fence <= self.position {
                tokio::select! {
                    () = sleep(idle) => {}
                    () = shutdown.cancelled() => return Ok(()),
                    () = batches.closed() => return Ok(()),
                }
                idle = (idle * 2).min(longest);
                continue;
            }
            idle = shortest;
            let batch = self.read(connection, fence).await?;
            self.position = batch.reached;
            if !hand_over(batch, connection, &batches, shutdown).await? {
                return Ok(());
            }
        }
    }

    async fn read(&self, connection: &mut PgConnection, fence: u64) -> Result<Batch, LogError> {
        let events = reader::read_after(connection, self.position, fence, self.batch_events).await?;
        // A short batch means that the rest up to the fence are gaps that nobody will fill.
        let whole = events.len() < usize::try_from(self.batch_events).unwrap_or(usize::MAX);
        let reached = if whole { fence } else { events.last().map_or(fence, |event| event.position) };
        Ok(Batch { events, reached, fence })
    }
}

/// Waits until the next stage takes the batch; false when it never will. A leader that waits here, because Kafka is
/// away, keeps looking whether its connection, and with it the lead, is still there.
async fn hand_over(
    batch: Batch,
    connection: &mut PgConnection,
    batches: &mpsc::Sender<Batch>,
    shutdown: &CancellationToken,
) -> Result<bool, LogError> {
    loop {
        tokio::select! {
            room = batches.reserve() => {
                return Ok(room.map(|room| room.send(batch)).is_ok());
            }
            () = shutdown.cancelled() => return Ok(false),
            () = sleep(PROOF_OF_LIFE) => connection.ping().await.map_err(postgres("keeping the lead"))?,
        }
    }
}
