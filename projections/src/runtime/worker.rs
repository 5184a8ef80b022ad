//! Runs one generation of one projection until it is told to stop.
//!
//! ```text
//! Starting ──partitions──▶ Running ◀──batch in── Retrying ──failures in a row──▶ Paused
//!                             └──────failure────────▲  ▲                            │
//!                                                      └────the store answers again─┘
//! ```

mod backfill;
mod batch;
mod batch_error;
mod heartbeat;
mod refused_event;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(super) use self::{batch_error::BatchError, heartbeat::host_and_pid};
use super::{
    AnyProjection, Checkpoint, GenerationRecord, ProjectionRuntime, RuntimeError, StatusReader, WorkerState,
    consumed_record::ConsumedRecord,
    consumer::{BatchConsumer, NextBatch},
    dead_letter::StreamKey,
    error::error_chain,
    worker_metrics,
    worker_status::StatusWriter,
};

/// How long a look at silent partitions may take.
const STALL_CHECK_TIMEOUT: Duration = Duration::from_secs(15);

/// A generation of a projection with its consumer.
pub struct Worker {
    runtime: ProjectionRuntime,
    projection: Arc<dyn AnyProjection>,
    build: GenerationRecord,
    status: StatusWriter,
}

/// What a worker remembers between batches; read again from Postgres when partitions have come or gone.
#[derive(Default)]
pub(super) struct AssignmentState {
    /// Which assignment of partitions this is about; 0 before anything was read.
    assignment_version: u64,
    checkpoint: Checkpoint,
    /// Streams with dead letters, as far as is known: others may have been re-driven meanwhile.
    parked: HashSet<StreamKey>,
}

impl Worker {
    /// A worker that does nothing yet, of the read model in this build.
    pub fn new(runtime: ProjectionRuntime, projection: &dyn AnyProjection, build: GenerationRecord) -> Self {
        let projection = projection.with_generation(build.generation);
        let status = StatusWriter::new(projection.name(), build.generation);
        Self { runtime, projection, build, status }
    }

    /// A worker without a consumer, which is fed from the log.
    pub(super) fn without_consumer(
        runtime: ProjectionRuntime,
        projection: Arc<dyn AnyProjection>,
        build: GenerationRecord,
    ) -> Self {
        let status = StatusWriter::new(projection.name(), build.generation);
        Self { runtime, projection, build, status }
    }

    /// Takes in events from the log.
    pub(super) async fn apply_from_log(
        &self,
        batch: &mut [ConsumedRecord],
        memory: &mut AssignmentState,
    ) -> Result<(), BatchError> {
        self.apply_gapless_batch(batch, memory).await.map(drop)
    }

    /// Reads its status, also while it runs.
    pub fn status(&self) -> StatusReader {
        self.status.reader()
    }

    /// Consumes until `shutdown`; then finishes the batch in hand, commits and leaves its group.
    ///
    /// # Errors
    /// [`RuntimeError`] when the consumer cannot be created. A broker or a store that is away is waited for.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let name = self.projection.name();
        if self.projection.subscribed_contexts().is_empty() {
            return self.run_idle(shutdown).await;
        }
        let mut intake = self
            .open_consumer()
            .map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection started");
        let pulse = heartbeat::spawn_heartbeat(&self.runtime.control, self.status.reader());
        let mut memory = AssignmentState::default();
        loop {
            match intake.next_batch(&shutdown).await {
                NextBatch::Batch(mut batch) => {
                    if !self.apply_with_retry(&mut intake, &mut batch, &mut memory, &shutdown).await {
                        break;
                    }
                }
                NextBatch::Idle => {
                    let mended = self.rejoin_if_stalled(intake, &shutdown).await;
                    intake =
                        mended.map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
                }
                NextBatch::Stop => break,
            }
        }
        intake.close().await;
        self.status.mark_stopped();
        pulse.stop().await;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection stopped");
        Ok(())
    }

    /// Of a projection that wants no events.
    async fn run_idle(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let pulse = heartbeat::spawn_heartbeat(&self.runtime.control, self.status.reader());
        self.status.set_partitions(0);
        shutdown.cancelled().await;
        self.status.mark_stopped();
        pulse.stop().await;
        Ok(())
    }

    fn open_consumer(&self) -> Result<BatchConsumer, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let (contexts, pace) = (self.projection.subscribed_contexts(), self.projection.batch_limits());
        BatchConsumer::open(name, generation, contexts, pace, &self.runtime.config, &self.status)
    }

    /// Joins the consumer group anew where a partition has records and brings none.
    async fn rejoin_if_stalled(
        &self,
        mut intake: BatchConsumer,
        shutdown: &CancellationToken,
    ) -> Result<BatchConsumer, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let looking = async {
            let checkpoint = self.runtime.control.load_checkpoint(name, generation).await.ok()?;
            intake.find_stalled_partition(&checkpoint).await.ok()?
        };
        let found = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            // Who does not answer is asked again at the next look.
            found = timeout(STALL_CHECK_TIMEOUT, looking) => found.ok().flatten(),
        };
        let Some(stalled) = found else { return Ok(intake) };
        tracing::warn!(
            projection.name = name,
            generation = %generation,
            topic = stalled.topic_partition.0,
            partition = stalled.topic_partition.1,
            next = stalled.next,
            end = stalled.end,
            "an assigned partition has records and brings none, joining the consumer group anew"
        );
        worker_metrics::count_stalled_partition(&self.metric_labels());
        intake.rejoin_group(generation, self.projection.subscribed_contexts(), self.projection.batch_limits()).await
    }

    /// Takes a batch in, however long it takes. False when asked to stop before it was.
    async fn apply_with_retry(
        &self,
        intake: &mut BatchConsumer,
        batch: &mut [ConsumedRecord],
        memory: &mut AssignmentState,
        shutdown: &CancellationToken,
    ) -> bool {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let patience = self.runtime.config.batch_timeout();
            let taking = self.apply_batch(batch, memory, intake.assignment_version());
            let silent = || BatchError::TimedOut { waited_s: patience.as_secs_f64() };
            let taken = timeout(patience, taking).await.unwrap_or_else(|_elapsed| Err(silent()));
            let setback = match taken {
                Ok(taken) => {
                    intake.commit_offsets(&taken.next_offsets);
                    worker_metrics::record_batch(&self.metric_labels(), &taken.progress, started.elapsed());
                    self.status.record_progress(taken.progress);
                    return true;
                }
                Err(setback) => setback,
            };
            failures += 1;
            // What was known may be what is wrong.
            memory.assignment_version = 0;
            worker_metrics::count_retry(&self.metric_labels());
            let is_broken = failures >= self.runtime.config.breaker_failures.max(1);
            self.report_failure(&setback, if is_broken { WorkerState::Paused } else { WorkerState::Retrying });
            loop {
                if !intake.wait_paused(self.runtime.config.retry_pause(failures), shutdown).await {
                    return false;
                }
                // An open circuit: a batch is tried again only once the store answers at all.
                if !is_broken || self.projection.ping().await.is_ok() {
                    break;
                }
                failures = failures.saturating_add(1);
            }
        }
    }

    fn report_failure(&self, setback: &BatchError, state: WorkerState) {
        let reason = error_chain(setback);
        if self.status.record_failure(state, reason.clone()) {
            tracing::warn!(
                projection.name = self.projection.name(),
                generation = %self.build.generation,
                state = state.name(),
                reason,
                "batch was not taken in, trying again"
            );
        }
    }

    fn metric_labels(&self) -> worker_metrics::WorkerLabels {
        worker_metrics::WorkerLabels { projection: self.projection.name(), generation: self.build.generation }
    }
}
