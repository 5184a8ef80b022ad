//! Runs one generation of one projection until it is told to stop.
//!
//! ```text
//! Starting ──partitions──▶ Running ◀──batch in── Retrying ──failures in a row──▶ Paused
//!                             └──────failure────────▲  ▲                            │
//!                                                      └────the store answers again─┘
//! ```

mod batch;
mod heal;
mod isolate;
mod pulse;
mod setback;

use std::{collections::HashSet, sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

pub(super) use self::setback::Setback;
use super::{
    AnyProjection, Build, Checkpoint, Runtime, RuntimeError, StatusReader, WorkerState, dead_letter::StreamKey,
    delivery::Delivery, error::chain, intake::Intake, metric, status::StatusWriter,
};

/// A generation of a projection with its consumer.
pub struct Worker {
    runtime: Runtime,
    projection: Arc<dyn AnyProjection>,
    build: Build,
    status: StatusWriter,
}

/// What a worker remembers between batches; read again from Postgres when partitions have come or gone.
#[derive(Default)]
pub(super) struct Memory {
    /// Which assignment of partitions this is about; 0 before anything was read.
    assignments: u64,
    checkpoint: Checkpoint,
    /// Streams with dead letters, as far as is known: others may have been re-driven meanwhile.
    parked: HashSet<StreamKey>,
}

impl Worker {
    /// A worker that does nothing yet, of the read model in this build.
    pub fn new(runtime: Runtime, projection: &dyn AnyProjection, build: Build) -> Self {
        let projection = projection.at(build.generation);
        let status = StatusWriter::new(projection.name(), build.generation);
        Self { runtime, projection, build, status }
    }

    /// A worker without a consumer, which is fed from the log.
    pub(super) fn filling(runtime: Runtime, projection: Arc<dyn AnyProjection>, build: Build) -> Self {
        let status = StatusWriter::new(projection.name(), build.generation);
        Self { runtime, projection, build, status }
    }

    /// Takes in events from the log.
    pub(super) async fn fill(&self, batch: &mut [Delivery], memory: &mut Memory) -> Result<(), Setback> {
        self.take_in_whole(batch, memory).await.map(drop)
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
        let mut intake =
            self.open_intake().map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection started");
        let pulse = pulse::start(&self.runtime.control, self.status.reader());
        let mut memory = Memory::default();
        while let Some(mut batch) = intake.next_batch(&shutdown).await {
            if !self.insist(&mut intake, &mut batch, &mut memory, &shutdown).await {
                break;
            }
        }
        intake.close().await;
        self.status.stopped();
        pulse.stop().await;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection stopped");
        Ok(())
    }

    fn open_intake(&self) -> Result<Intake, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let (contexts, pace) = (self.projection.subscribes(), self.projection.pace());
        Intake::open(name, generation, contexts, pace, &self.runtime.config, &self.status)
    }

    /// Takes a batch in, however long it takes. False when asked to stop before it was.
    async fn insist(
        &self,
        intake: &mut Intake,
        batch: &mut [Delivery],
        memory: &mut Memory,
        shutdown: &CancellationToken,
    ) -> bool {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let setback = match self.take_in(batch, memory, intake.assignments()).await {
                Ok(taken) => {
                    intake.commit(&taken.next_offsets);
                    metric::batch(&self.label(), &taken.progress, started.elapsed());
                    self.status.progressed(taken.progress);
                    return true;
                }
                Err(setback) => setback,
            };
            failures += 1;
            // What was known may be what is wrong.
            memory.assignments = 0;
            metric::retry(&self.label());
            let is_broken = failures >= self.runtime.config.breaker_failures.max(1);
            self.report(&setback, if is_broken { WorkerState::Paused } else { WorkerState::Retrying });
            loop {
                if !intake.wait(self.runtime.config.pause_before(failures), shutdown).await {
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

    fn report(&self, setback: &Setback, state: WorkerState) {
        let reason = chain(setback);
        if self.status.failed(state, reason.clone()) {
            tracing::warn!(
                projection.name = self.projection.name(),
                generation = %self.build.generation,
                state = state.name(),
                reason,
                "batch was not taken in, trying again"
            );
        }
    }

    fn label(&self) -> metric::Label {
        metric::Label { projection: self.projection.name(), generation: self.build.generation }
    }
}
