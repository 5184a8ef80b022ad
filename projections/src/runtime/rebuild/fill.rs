//! Fills a new generation from the log.
//!
//! Streams do not depend on each other: a batch is distributed to lanes by stream, and the lanes apply concurrently.
//! The next batch is read meanwhile.

use std::{sync::Arc, time::Duration};

use domain::{
    envelope::RawEnvelope,
    log_reader::{LogBatch, LogRange},
};
use futures::future::try_join_all;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{ProjectionRebuild, RebuildError, RebuildProgress, rebuild_lease::RebuildLease};
use crate::runtime::{
    GenerationRecord, GenerationState, ProjectionRuntime, Worker, bucket_of,
    consumed_record::ConsumedRecord,
    consumer::PartitionCounts,
    worker::{BatchError, PartitionAssignmentState},
};

/// Size in bytes at which a batch is full. Stores handle few large batches better than many small ones.
const MAX_BATCH_BYTES: usize = 48 << 20;

/// Number of lanes that write concurrently.
const LANE_COUNT: usize = 2;

/// Distance from the end of the log, in positions, below which the generation continues from Kafka.
const HANDOVER_DISTANCE: u64 = 2_000;

/// Time between two saves of the position.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);

/// Consecutive failures after which filling ends with an error; the next rebuild resumes it.
const MAX_FAILURES: u32 = 8;

impl ProjectionRuntime {
    /// Applies the log from the part's position until [`HANDOVER_DISTANCE`] before its end.
    pub(super) async fn fill_from_log(
        &self,
        id: i64,
        part: &ProjectionRebuild,
        lease: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let kafka_error = |error: rdkafka::error::KafkaError| RebuildError::Kafka(error.into());
        let partitions = self.partition_counts(part.projection.as_ref()).await.map_err(kafka_error)?;
        if part.position == 0 {
            // Saved before the log is read, so that later records are consumed from Kafka.
            self.save_end_offsets(part).await?;
        }
        let build = self.control.load_generation(part.name(), part.generation).await?;
        let mut lanes: Vec<_> = (0..LANE_COUNT).map(|_| FillLane::new(self, part, &build)).collect();
        let (mut position, mut events) = (part.position, part.events);
        let mut last_saved = Instant::now();
        loop {
            let target = self.log.completed_prefix().await?;
            let range = LogRange {
                contexts: part.projection.subscribed_contexts().to_vec(),
                aggregate_id: None,
                after: position,
                to: target,
                batch_events: part.projection.batch_limits().rebuild_events,
                batch_bytes: MAX_BATCH_BYTES,
            };
            let mut cursor = self.log.read_batches(range).await?;
            while let Some(LogBatch { events: batch, watermark }) = cursor.read_next_batch().await? {
                events += batch.len() as u64;
                self.distribute_batch(part, batch, &partitions, &mut lanes, stop).await?;
                position = watermark;
                part.update_progress(progress, |entry| {
                    (entry.position, entry.target, entry.events) = (position, target, events);
                });
                if last_saved.elapsed() > SAVE_INTERVAL {
                    last_saved = Instant::now();
                    self.save_position(id, part, lease, (position, target, events)).await?;
                }
                if stop.is_cancelled() {
                    self.save_position(id, part, lease, (position, target, events)).await?;
                    return Err(RebuildError::Interrupted);
                }
            }
            position = position.max(target);
            self.save_position(id, part, lease, (position, target, events)).await?;
            if self.log.completed_prefix().await?.saturating_sub(position) < HANDOVER_DISTANCE {
                self.save_handover(part, position, lease).await?;
                return Ok(());
            }
        }
    }

    async fn distribute_batch(
        &self,
        part: &ProjectionRebuild,
        batch: Vec<RawEnvelope>,
        partitions: &PartitionCounts,
        lanes: &mut [FillLane],
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        for event in batch {
            let Some((topic, partition)) = self.topic_partition_of(&event, partitions) else { continue };
            let lane = bucket_of(&event.aggregate_id) as usize % lanes.len();
            lanes[lane].pending.push(ConsumedRecord::from_log(topic, partition, event));
        }
        let writes = lanes.iter_mut().map(|lane| lane.apply_pending(self, stop));
        let outcome = try_join_all(writes).await;
        outcome.map(drop).map_err(|failure| match failure {
            LaneError::Stopped => RebuildError::Interrupted,
            LaneError::Batch(error) => RebuildError::from_fill_error(part.name(), part.generation, error),
        })
    }
}

enum LaneError {
    Stopped,
    Batch(BatchError),
}

/// One of the lanes, which write concurrently.
struct FillLane {
    worker: Arc<Worker>,
    assignment: Option<PartitionAssignmentState>,
    pending: Vec<ConsumedRecord>,
}

impl FillLane {
    fn new(runtime: &ProjectionRuntime, part: &ProjectionRebuild, build: &GenerationRecord) -> Self {
        let build = GenerationRecord { state: GenerationState::Building, handover: 0, ..build.clone() };
        let worker = Arc::new(Worker::without_consumer(runtime.clone(), Arc::clone(&part.projection), build));
        Self { worker, assignment: Some(PartitionAssignmentState::default()), pending: vec![] }
    }

    /// Applies the pending records, on a separate task so that lanes use different cores.
    async fn apply_pending(&mut self, runtime: &ProjectionRuntime, stop: &CancellationToken) -> Result<(), LaneError> {
        let mut failures = 0;
        while !self.pending.is_empty() {
            let (worker, mut batch) = (Arc::clone(&self.worker), std::mem::take(&mut self.pending));
            let mut assignment = self.assignment.take().unwrap_or_default();
            let task = tokio::spawn(async move {
                let outcome = worker.apply_from_log(&mut batch, &mut assignment).await;
                (outcome, batch, assignment)
            });
            let (outcome, batch, assignment) = match task.await {
                Ok(completed) => completed,
                Err(join_error) => match join_error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_cancelled) => return Err(LaneError::Stopped),
                },
            };
            self.assignment = Some(assignment);
            let Err(error) = outcome else { continue };
            self.pending = batch;
            failures += 1;
            if failures >= MAX_FAILURES {
                return Err(LaneError::Batch(error));
            }
            tracing::warn!(
                reason = crate::runtime::error::error_chain(&error),
                "applying a batch of a rebuild failed, retrying"
            );
            tokio::select! {
                () = stop.cancelled() => return Err(LaneError::Stopped),
                () = tokio::time::sleep(runtime.config.retry_pause(failures)) => {}
            }
        }
        Ok(())
    }
}
