//! Runs one generation of one projection until shutdown.
//!
//! Three stages run at the same time, each one batch or more ahead of the next. The number of batches between them is
//! bounded by slots ([`PartitionAssignment`]).
//!
//! ```text
//! fetch ──▶ decode and project ──▶ write and commit
//! (thread)  (prepared_batch)       (batch_pipeline, in_flight; alone: batch)
//! ```
//! Its states:
//!
//! ```text
//! Starting ──assigned──▶ Running ◀──batch applied── Retrying ──breaker_failures──▶ Paused
//!                           └─────────failure──────────▲  ▲                           │
//!                                                         └──the store answers again──┘
//! ```

mod backfill;
mod batch;
mod batch_error;
mod batch_pipeline;
mod heartbeat;
mod in_flight;
mod prepared_batch;
mod rejected_event_search;

use std::{collections::HashSet, sync::Arc, time::Duration};

use domain::stream_id::StreamId;
use rdkafka::error::KafkaError;
use tokio::{runtime::Handle, sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use self::batch_pipeline::BatchPipeline;
pub(super) use self::{batch_error::BatchError, heartbeat::host_and_pid};
use super::{
    AnyProjection, Checkpoint, GenerationRecord, ProjectionRuntime, RuntimeError, StatusReader, WorkerState,
    consumed_record::ConsumedRecord,
    consumer::{
        BatchConsumer, ConsumerStall, ConsumerSubscription, FetchInterruption, FetchedBatch, PartitionAssignment,
        StalledPartition,
    },
    error::format_limited_chain,
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
    /// The assignment version that it was loaded for; 0 before the first load and after a failed batch.
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
        batch: &[ConsumedRecord],
        assignment: &mut PartitionAssignmentState,
    ) -> Result<(), BatchError> {
        self.apply_gapless_batch(batch, assignment, None).await.map(drop)
    }

    /// A reader of its status, for use while it runs.
    pub fn status(&self) -> StatusReader {
        self.status.reader()
    }

    /// Consumes until `shutdown`; then finishes the batches that are being written, commits offsets and leaves its group.
    ///
    /// # Errors
    /// [`RuntimeError`] when the consumer cannot be created. An unavailable broker or store is retried.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        if self.projection.subscribed_contexts().is_empty() {
            return self.run_idle(shutdown).await;
        }
        let worker = Arc::new(self);
        let name = worker.projection.name();
        // One batch is prepared while the others are written.
        let slots = worker.projection.concurrent_writes().max(1) + 1;
        worker_metrics::set_batch_slots(&worker.metric_labels(), slots);
        let assignment = Arc::new(PartitionAssignment::new(slots));
        let consumer = worker.open_consumer(&assignment).map_err(|error| worker.consumer_error(error))?;
        tracing::info!(projection.name = name, generation = %worker.build.generation, "projection started");
        let heartbeat_task = heartbeat::spawn_heartbeat(&worker.runtime.control, worker.status.reader());
        let (fetched, to_prepare) = mpsc::channel(slots);
        let (prepared, to_write) = mpsc::channel(slots);
        // A separate thread, because a revocation of partitions blocks it until the batches in flight have ended.
        let fetching = tokio::task::spawn_blocking({
            let (worker, shutdown, runtime) = (Arc::clone(&worker), shutdown.clone(), Handle::current());
            move || runtime.block_on(worker.fetch_batches(consumer, &fetched, &shutdown))
        });
        let preparing = tokio::spawn(Arc::clone(&worker).prepare_batches(to_prepare, prepared, shutdown.clone()));
        BatchPipeline::new(Arc::clone(&worker), assignment, shutdown).run(to_write).await;
        let ended = preparing.await.and(fetching.await);
        let closed = match ended {
            Ok(Ok(consumer)) => {
                consumer.close().await;
                Ok(())
            }
            Ok(Err(error)) => Err(worker.consumer_error(error)),
            Err(source) => Err(RuntimeError::BrokeOff { projection: name.to_owned(), source }),
        };
        worker.status.mark_stopped();
        heartbeat_task.stop().await;
        tracing::info!(projection.name = name, generation = %worker.build.generation, "projection stopped");
        closed
    }

    /// Fetches batches until shutdown. Returns the consumer, whose group it has not left.
    async fn fetch_batches(
        &self,
        mut consumer: BatchConsumer,
        fetched: &mpsc::Sender<FetchedBatch>,
        shutdown: &CancellationToken,
    ) -> Result<BatchConsumer, KafkaError> {
        loop {
            match consumer.hand_over_batches(fetched, shutdown).await {
                FetchInterruption::Silence => consumer = self.rejoin_if_stalled(consumer, shutdown).await?,
                FetchInterruption::Stop => return Ok(consumer),
            }
        }
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

    fn consumer_error(&self, error: KafkaError) -> RuntimeError {
        RuntimeError::Consumer { projection: self.projection.name(), source: error.into() }
    }

    fn open_consumer(&self, assignment: &Arc<PartitionAssignment>) -> Result<BatchConsumer, KafkaError> {
        let subscription = ConsumerSubscription {
            name: self.projection.name(),
            generation: self.build.generation,
            contexts: self.projection.subscribed_contexts(),
            limits: self.projection.batch_limits(),
            fetch: self.projection.fetch_strategy(),
        };
        BatchConsumer::open(subscription, &self.runtime.config, &self.status, assignment, &self.runtime.recent_ends)
    }

    /// Rejoins the consumer group with a new client when a partition is stalled or the client has lost the broker.
    async fn rejoin_if_stalled(
        &self,
        mut consumer: BatchConsumer,
        shutdown: &CancellationToken,
    ) -> Result<BatchConsumer, KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let check = async {
            let checkpoint = self.runtime.control.load_checkpoint(name, generation).await.ok()?;
            consumer.find_stall(&checkpoint).await.ok()?
        };
        let found = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            // After a check that fails or times out, the next regular check tries again.
            found = timeout(STALL_CHECK_TIMEOUT, check) => found.ok().flatten(),
        };
        let Some(stall) = found else { return Ok(consumer) };
        self.report_stall(&stall);
        consumer.rejoin_group().await
    }

    fn report_stall(&self, stall: &ConsumerStall) {
        let (name, generation) = (self.projection.name(), self.build.generation);
        match stall {
            ConsumerStall::Partition(StalledPartition { topic_partition: (topic, partition), next, end }) => {
                tracing::warn!(
                    projection.name = name,
                    generation = %generation,
                    topic,
                    partition,
                    next,
                    end,
                    "partition stalled, rejoining the consumer group"
                );
                worker_metrics::count_stalled_partition(&self.metric_labels());
            }
            ConsumerStall::LostBroker => {
                tracing::warn!(
                    projection.name = name,
                    generation = %generation,
                    "the consumer has lost the broker while new clients find it, rejoining the consumer group"
                );
                worker_metrics::count_lost_broker(&self.metric_labels());
            }
        }
    }

    fn report_failure(&self, error: &BatchError, state: WorkerState) {
        let reason = format_limited_chain(error);
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
