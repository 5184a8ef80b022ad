//! Fills a new generation from the log.
//!
//! Streams do not depend on each other: what is read is distributed to lanes by stream, and the lanes apply concurrently.
//! The next events are read and distributed meanwhile.

use std::time::Duration;

use domain::log_reader::{LogBatch, LogRange};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    RebuildError, RebuildPart, RebuildProgress,
    fill_lane::{FillLanes, FillPosition, LaneError, PORTIONS_PER_BATCH},
    rebuild_lease::RebuildLease,
};
use crate::runtime::{ProjectionRuntime, consumed_record::ConsumedRecord};

/// Size in bytes at which a batch is full. Stores handle few large batches better than many small ones.
const MAX_BATCH_BYTES: usize = 48 << 20;

/// Distance from the end of the log, in positions, below which the generation continues from Kafka.
const HANDOVER_DISTANCE: u64 = 2_000;

/// Time between two saves of the position.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);

impl ProjectionRuntime {
    /// Applies the log from the part's position until [`HANDOVER_DISTANCE`] before its end.
    pub(super) async fn fill_from_log(
        &self,
        id: i64,
        part: &RebuildPart,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let build = self.control.load_generation(part.name(), part.generation).await?;
        let mut lanes = FillLanes::start(self, part, &build, stop);
        let outcome = self.read_into_lanes(id, part, lease, progress, stop, &mut lanes).await;
        // Nothing is written to the generation after this.
        lanes.stop().await;
        outcome
    }

    async fn read_into_lanes(
        &self,
        id: i64,
        part: &RebuildPart,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
        lanes: &mut FillLanes,
    ) -> Result<(), RebuildError> {
        let kafka_error = |error: rdkafka::error::KafkaError| RebuildError::Kafka(error.into());
        let partitions = self.partition_counts(part.projection.as_ref()).await.map_err(kafka_error)?;
        if part.position == 0 {
            // Saved before the log is read, so that later records are consumed from Kafka.
            self.save_end_offsets(part).await?;
        }
        let lane_error = |failure: LaneError| match failure {
            LaneError::Stopped => RebuildError::Interrupted,
            LaneError::Batch(error) => RebuildError::from_fill_error(part.name(), part.generation, error),
        };
        // How far the log is read, and how far it is applied.
        let mut read = FillPosition { position: part.position, events: part.events };
        let mut applied = read;
        let mut last_saved = Instant::now();
        loop {
            let target = self.log.load_fence().await?;
            let range = LogRange {
                contexts: part.projection.subscribed_contexts().to_vec(),
                aggregate_id: None,
                after: read.position,
                to: target,
                batch_events: part.projection.batch_limits().rebuild_events.div_ceil(PORTIONS_PER_BATCH),
                batch_bytes: MAX_BATCH_BYTES / PORTIONS_PER_BATCH,
            };
            let mut cursor = self.log.read_batches(range).await?;
            while let Some(LogBatch { events: batch, watermark }) = cursor.read_next_batch().await? {
                read = FillPosition { position: watermark, events: read.events + batch.len() as u64 };
                let records = batch.into_iter().filter_map(|event| {
                    let (topic, partition) = self.find_topic_partition(&event, &partitions)?;
                    Some(ConsumedRecord::from_log(topic, partition, event))
                });
                lanes.distribute(records, read).await.map_err(lane_error)?;
                if let Some(reached) = lanes.take_applied() {
                    applied = reached;
                    part.update_progress(progress, |entry| {
                        (entry.position, entry.target, entry.events) = (applied.position, target, applied.events);
                    });
                }
                if last_saved.elapsed() > SAVE_INTERVAL {
                    last_saved = Instant::now();
                    self.save_position(id, part, lease, (applied.position, target, applied.events)).await?;
                }
                if stop.is_cancelled() {
                    self.save_position(id, part, lease, (applied.position, target, applied.events)).await?;
                    return Err(RebuildError::Interrupted);
                }
            }
            lanes.finish().await.map_err(lane_error)?;
            lanes.take_applied();
            read.position = read.position.max(target);
            applied = read;
            part.update_progress(progress, |entry| {
                (entry.position, entry.target, entry.events) = (applied.position, target, applied.events);
            });
            self.save_position(id, part, lease, (applied.position, target, applied.events)).await?;
            if self.log.load_fence().await?.saturating_sub(applied.position) < HANDOVER_DISTANCE {
                self.save_handover(part, applied.position, lease).await?;
                return Ok(());
            }
        }
    }
}
