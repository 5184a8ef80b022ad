//! The first stage: reads the completed prefix of the log and passes it on, batch by batch.

use sqlx::{PgConnection, PgPool};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::RelayConfig;
use crate::{
    error::LogError,
    log::{EventBatch, FollowOptions, LogReplay, ReplayOptions},
};

/// A batch ends once it has this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// Reads the log from a position on, on a dedicated connection.
pub(super) struct LogSource {
    replay: LogReplay,
}

impl LogSource {
    pub(super) fn new(
        connection: PgConnection,
        pool: &PgPool,
        config: &RelayConfig,
        position: u64,
    ) -> Result<Self, LogError> {
        let (poll_min, poll_max) = config.poll_intervals();
        let poll_idle = config.idle_poll_interval().max(poll_max);
        let options = ReplayOptions {
            after: position,
            follow: Some(FollowOptions { poll_min, poll_max, poll_idle }),
            batch_events: config.batch_events(),
            batch_bytes: BATCH_BYTES,
            answer_timeout: Some(config.answer_timeout()),
            ..ReplayOptions::default()
        };
        Ok(Self { replay: LogReplay::start_with_wakeups(connection, pool, options)? })
    }

    /// Reads until `shutdown`, or until the receiver of the batches is dropped.
    pub(super) async fn run(
        &mut self,
        batches: mpsc::Sender<EventBatch>,
        shutdown: &CancellationToken,
    ) -> Result<(), LogError> {
        loop {
            let batch = tokio::select! {
                batch = self.replay.next_batch() => batch?,
                () = shutdown.cancelled() => return Ok(()),
                () = batches.closed() => return Ok(()),
            };
            // A replay that follows the log does not end.
            let Some(batch) = batch else { return Ok(()) };
            let sent = tokio::select! {
                sent = batches.send(batch) => sent,
                () = shutdown.cancelled() => return Ok(()),
            };
            if sent.is_err() {
                return Ok(());
            }
        }
    }
}
