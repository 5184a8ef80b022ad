//! Fills a new generation from the log.
//!
//! Streams do not depend on each other: a batch is dealt out to lanes by stream, and the lanes work at the same time.
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
    worker::{AssignmentState, BatchError},
};

/// A batch is not added to from so many bytes on. Stores take few large batches better than many small ones.
const MAX_BATCH_BYTES: usize = 48 << 20;

/// Lanes that write at the same time.
const LANE_COUNT: usize = 2;

/// A generation that is so near to the end of the log goes on with Kafka, in positions.
const HANDOVER_DISTANCE: u64 = 2_000;

/// How often is it written down how far it is.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);

/// Failures in a row after which filling gives up; the next attempt goes on.
const MAX_FAILURES: u32 = 8;

impl ProjectionRuntime {
    /// Takes the log in from where the part is, until the end is near.
    pub(super) async fn fill_from_log(
        &self,
        id: i64,
        part: &ProjectionRebuild,
        turn: &RebuildLease,
        progress: &watch::Sender<RebuildProgress>,
        stop: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let asked = |error: rdkafka::error::KafkaError| RebuildError::Kafka(error.into());
        let partitions = self.partition_counts(part.projection.as_ref()).await.map_err(asked)?;
        if part.position == 0 {
            // Before anything is read: what comes to Kafka from now on is read from there later.
            self.save_end_offsets(part).await?;
        }
        let build = self.control.load_generation(part.name(), part.generation).await?;
        let mut lanes: Vec<_> = (0..LANE_COUNT).map(|_| FillLane::new(self, part, &build)).collect();
        let (mut position, mut events) = (part.position, part.events);
        let mut noted = Instant::now();
        loop {
            let target = self.log.completed_prefix().await?;
            let log_part = LogRange {
                contexts: part.projection.subscribed_contexts().to_vec(),
                aggregate_id: None,
                after: position,
                to: target,
                batch_events: part.projection.batch_limits().rebuild_events,
                batch_bytes: MAX_BATCH_BYTES,
            };
            let mut cursor = self.log.read_batches(log_part).await?;
            while let Some(LogBatch { events: batch, watermark }) = cursor.read_next_batch().await? {
                events += batch.len() as u64;
                self.distribute_batch(part, batch, &partitions, &mut lanes, stop).await?;
                position = watermark;
                part.update_progress(progress, |told| {
                    (told.position, told.target, told.events) = (position, target, events);
                });
                if noted.elapsed() > SAVE_INTERVAL {
                    noted = Instant::now();
                    self.save_position(id, part, turn, (position, target, events)).await?;
                }
                if stop.is_cancelled() {
                    self.save_position(id, part, turn, (position, target, events)).await?;
                    return Err(RebuildError::Interrupted);
                }
            }
            position = position.max(target);
            self.save_position(id, part, turn, (position, target, events)).await?;
            if self.log.completed_prefix().await?.saturating_sub(position) < HANDOVER_DISTANCE {
                self.save_handover(part, position, turn).await?;
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
            lanes[lane].waiting.push(ConsumedRecord::from_log(topic, partition, event));
        }
        let work = lanes.iter_mut().map(|lane| lane.apply_waiting(self, stop));
        let outcome = try_join_all(work).await;
        outcome.map(drop).map_err(|failure| match failure {
            LaneError::Stopped => RebuildError::Interrupted,
            LaneError::Batch(setback) => RebuildError::from_fill_error(part.name(), part.generation, setback),
        })
    }
}

enum LaneError {
    Stopped,
    Batch(BatchError),
}

/// One of the writers.
struct FillLane {
    worker: Arc<Worker>,
    memory: Option<AssignmentState>,
    waiting: Vec<ConsumedRecord>,
}

impl FillLane {
    fn new(runtime: &ProjectionRuntime, part: &ProjectionRebuild, build: &GenerationRecord) -> Self {
        let build = GenerationRecord { state: GenerationState::Building, handover: 0, ..build.clone() };
        let worker = Arc::new(Worker::without_consumer(runtime.clone(), Arc::clone(&part.projection), build));
        Self { worker, memory: Some(AssignmentState::default()), waiting: vec![] }
    }

    /// Takes in what waits, on a task of its own so that lanes use different cores.
    async fn apply_waiting(&mut self, runtime: &ProjectionRuntime, stop: &CancellationToken) -> Result<(), LaneError> {
        let mut failures = 0;
        while !self.waiting.is_empty() {
            let (worker, mut batch) = (Arc::clone(&self.worker), std::mem::take(&mut self.waiting));
            let mut memory = self.memory.take().unwrap_or_default();
            let work = tokio::spawn(async move {
                let outcome = worker.apply_from_log(&mut batch, &mut memory).await;
                (outcome, batch, memory)
            });
            let (outcome, batch, memory) = match work.await {
                Ok(done) => done,
                Err(broken) => match broken.try_into_panic() {
                    Ok(panicked) => std::panic::resume_unwind(panicked),
                    Err(_cancelled) => return Err(LaneError::Stopped),
                },
            };
            self.memory = Some(memory);
            let Err(setback) = outcome else { continue };
            self.waiting = batch;
            failures += 1;
            if failures >= MAX_FAILURES {
                return Err(LaneError::Batch(setback));
            }
            tracing::warn!(
                reason = crate::runtime::error::error_chain(&setback),
                "a batch of a rebuild is tried again"
            );
            tokio::select! {
                () = stop.cancelled() => return Err(LaneError::Stopped),
                () = tokio::time::sleep(runtime.config.retry_pause(failures)) => {}
            }
        }
        Ok(())
    }
}
