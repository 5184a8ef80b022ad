//! Runs one generation of one projection until shutdown.
//!
//! ```text
//! Starting ──assigned──▶ Running ◀──batch applied── Retrying ──breaker_failures──▶ Paused
//!                           └─────────failure──────────▲  ▲                           │
//!                                                         └──the store answers again──┘
//! ```

mod backfill;
mod batch;
mod batch_error;
mod heartbeat;
mod rejected_event_search;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use domain::stream_id::StreamId;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(super) use self::{batch_error::BatchError, heartbeat::host_and_pid};
use super::{
    AnyProjection, Checkpoint, GenerationRecord, ProjectionRuntime, RuntimeError, StatusReader, WorkerState,
    consumed_record::ConsumedRecord,
    consumer::{BatchConsumer, NextBatch},
    error::error_chain,
    worker_metrics,
    worker_status::StatusWriter,
};

/// How long a check for stalled partitions may take.
const STALL_CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// Consumes events for one generation of a projection and applies them.
pub struct Worker {
    runtime: ProjectionRuntime,
    projection: Arc<dyn AnyProjection>,
    build: GenerationRecord,
    status: StatusWriter,
}

/// State that a worker caches between batches; reloaded from Postgres when the assigned partitions change.
#[derive(Default)]
pub(super) struct PartitionAssignmentState {
    /// The assignment version for which it was loaded; 0 before the first load and after a failed batch.
    assignment_version: u64,
    checkpoint: Checkpoint,
    /// Streams with dead letters; may be outdated, since another process may have redriven some.
    parked: HashSet<StreamId>,
}

impl Worker {
    /// Creates a worker of this generation; it consumes in [`Self::run`].
    pub fn new(runtime: ProjectionRuntime, projection: &dyn AnyProjection, build: GenerationRecord) -> Self {
        let projection = projection.with_generation(build.generation);
        let status = StatusWriter::new(projection.name(), build.generation);
        Self { runtime, projection, build, status }
    }

    /// Creates a worker without a consumer, for [`Self::apply_from_log`].
    pub(super) fn without_consumer(
        runtime: ProjectionRuntime,
        projection: Arc<dyn AnyProjection>,
        build: GenerationRecord,
    ) -> Self {
        let status = StatusWriter::new(projection.name(), build.generation);
        Self { runtime, projection, build, status }
    }

    /// Applies events that were read from the log.
    pub(super) async fn apply_from_log(
        &self,
        batch: &mut [ConsumedRecord],
        assignment: &mut PartitionAssignmentState,
    ) -> Result<(), BatchError> {
        self.apply_gapless_batch(batch, assignment).await.map(drop)
    }

    /// A reader of its status, for use while it runs.
    pub fn status(&self) -> StatusReader {
        self.status.reader()
    }

    /// Consumes until `shutdown`; then finishes the current batch, commits offsets and leaves its group.
    ///
    /// # Errors
    /// [`RuntimeError`] when the consumer cannot be created. An unavailable broker or store is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let name = self.projection.name();
        if self.projection.subscribed_contexts().is_empty() {
            return self.run_idle(shutdown).await;
        }
        let mut consumer = self
            .open_consumer()
            .map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection started");
        let heartbeat_task = heartbeat::spawn_heartbeat(&self.runtime.control, self.status.reader());
        let mut assignment = PartitionAssignmentState::default();
        loop {
            match consumer.next_batch(&shutdown).await {
                NextBatch::Batch(mut batch) => {
                    if !self.apply_with_retry(&mut consumer, &mut batch, &mut assignment, &shutdown).await {
                        break;
                    }
                }
                NextBatch::Idle => {
                    let rejoined = self.rejoin_if_stalled(consumer, &shutdown).await;
                    consumer = rejoined
                        .map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
                }
                NextBatch::Stop => break,
            }
        }
        consumer.close().await;
        self.status.mark_stopped();
        heartbeat_task.stop().await;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection stopped");
        Ok(())
    }

    /// Runs a projection that subscribes to no context.
    async fn run_idle(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let heartbeat_task = heartbeat::spawn_heartbeat(&self.runtime.control, self.status.reader());
        self.status.set_partitions(0);
        shutdown.cancelled().await;
        self.status.mark_stopped();
        heartbeat_task.stop().await;
        Ok(())
    }

    fn open_consumer(&self) -> Result<BatchConsumer, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let (contexts, limits) = (self.projection.subscribed_contexts(), self.projection.batch_limits());
        let fetch = self.projection.fetch_strategy();
        BatchConsumer::open(name, generation, contexts, limits, fetch, &self.runtime.config, &self.status)
    }

    /// Rejoins the consumer group when a partition is stalled.
    async fn rejoin_if_stalled(
        &self,
        mut consumer: BatchConsumer,
        shutdown: &CancellationToken,
    ) -> Result<BatchConsumer, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let check = async {
            let checkpoint = self.runtime.control.load_checkpoint(name, generation).await.ok()?;
            consumer.find_stalled_partition(&checkpoint).await.ok()?
        };
        let found = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            // After a check that fails or times out, the next regular check tries again.
            found = timeout(STALL_CHECK_TIMEOUT, check) => found.ok().flatten(),
        };
        let Some(stalled) = found else { return Ok(consumer) };
        tracing::warn!(
            projection.name = name,
            generation = %generation,
            topic = stalled.topic_partition.0,
            partition = stalled.topic_partition.1,
            next = stalled.next,
            end = stalled.end,
            "partition stalled, rejoining the consumer group"
        );
        worker_metrics::count_stalled_partition(&self.metric_labels());
        consumer.rejoin_group(generation, self.projection.subscribed_contexts(), self.projection.batch_limits()).await
    }

    /// Applies a batch, retrying without limit. Returns false when shutdown comes first.
    async fn apply_with_retry(
        &self,
        consumer: &mut BatchConsumer,
        batch: &mut [ConsumedRecord],
        assignment: &mut PartitionAssignmentState,
        shutdown: &CancellationToken,
    ) -> bool {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let batch_timeout = self.runtime.config.batch_timeout();
            let applying = self.apply_batch(batch, assignment, consumer.assignment_version());
            let timed_out = || BatchError::TimedOut { waited_s: batch_timeout.as_secs_f64() };
            let outcome = timeout(batch_timeout, applying).await.unwrap_or_else(|_elapsed| Err(timed_out()));
            let error = match outcome {
                Ok(outcome) => {
                    consumer.commit_offsets(&outcome.next_offsets);
                    worker_metrics::record_batch(&self.metric_labels(), &outcome.progress, started.elapsed());
                    self.status.record_progress(outcome.progress);
                    return true;
                }
                Err(error) => error,
            };
            failures += 1;
            // The cached state may have caused the failure: the retry reloads it.
            assignment.assignment_version = 0;
            worker_metrics::count_retry(&self.metric_labels());
            let is_circuit_open = failures >= self.runtime.config.breaker_failures.max(1);
            self.report_failure(&error, if is_circuit_open { WorkerState::Paused } else { WorkerState::Retrying });
            loop {
                if !consumer.wait_paused(self.runtime.config.retry_pause(failures), shutdown).await {
                    return false;
                }
                // While the circuit is open, the batch is retried only after the store has answered a ping.
                if !is_circuit_open || self.projection.ping().await.is_ok() {
                    break;
                }
                failures = failures.saturating_add(1);
            }
        }
    }

    fn report_failure(&self, error: &BatchError, state: WorkerState) {
        let reason = error_chain(error);
        if self.status.record_failure(state, reason.clone()) {
            tracing::warn!(
                projection.name = self.projection.name(),
                generation = %self.build.generation,
                state = state.name(),
                reason,
                "applying a batch failed, retrying"
            );
        }
    }

    fn metric_labels(&self) -> worker_metrics::WorkerLabels {
        worker_metrics::WorkerLabels { projection: self.projection.name(), generation: self.build.generation }
    }
}
