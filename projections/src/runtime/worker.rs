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

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(super) use self::{pulse::host_and_pid, setback::Setback};
use super::{
    AnyProjection, Build, Checkpoint, Runtime, RuntimeError, StatusReader, WorkerState,
    dead_letter::StreamKey,
    delivery::Delivery,
    error::chain,
    intake::{Intake, NextBatch},
    metric,
    status::StatusWriter,
};

/// How long a look at silent partitions may take.
const LOOK_WITHIN: Duration = Duration::from_secs(15);

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
        if self.projection.subscribes().is_empty() {
            return self.idle(shutdown).await;
        }
        let mut intake =
            self.open_intake().map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection started");
        let pulse = pulse::start(&self.runtime.control, self.status.reader());
        let mut memory = Memory::default();
        loop {
            match intake.next_batch(&shutdown).await {
                NextBatch::Batch(mut batch) => {
                    if !self.insist(&mut intake, &mut batch, &mut memory, &shutdown).await {
                        break;
                    }
                }
                NextBatch::Silence => {
                    let mended = self.break_silence(intake, &shutdown).await;
                    intake =
                        mended.map_err(|source| RuntimeError::Consumer { projection: name, source: source.into() })?;
                }
                NextBatch::Stop => break,
            }
        }
        intake.close().await;
        self.status.stopped();
        pulse.stop().await;
        tracing::info!(projection.name = name, generation = %self.build.generation, "projection stopped");
        Ok(())
    }

    /// Of a projection that wants no events.
    async fn idle(self, shutdown: CancellationToken) -> Result<(), RuntimeError> {
        let pulse = pulse::start(&self.runtime.control, self.status.reader());
        self.status.assigned(0);
        shutdown.cancelled().await;
        self.status.stopped();
        pulse.stop().await;
        Ok(())
    }

    fn open_intake(&self) -> Result<Intake, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let (contexts, pace) = (self.projection.subscribes(), self.projection.pace());
        Intake::open(name, generation, contexts, pace, &self.runtime.config, &self.status)
    }

    /// Joins the consumer group anew where a partition has records and brings none.
    async fn break_silence(
        &self,
        mut intake: Intake,
        shutdown: &CancellationToken,
    ) -> Result<Intake, rdkafka::error::KafkaError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let looking = async {
            let checkpoint = self.runtime.control.checkpoint(name, generation).await.ok()?;
            intake.stalled(&checkpoint).await.ok()?
        };
        let found = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            // Who does not answer is asked again at the next look.
            found = timeout(LOOK_WITHIN, looking) => found.ok().flatten(),
        };
        let Some(stalled) = found else { return Ok(intake) };
        tracing::warn!(
            projection.name = name,
            generation = %generation,
            topic = stalled.place.0,
            partition = stalled.place.1,
            next = stalled.next,
            end = stalled.end,
            "an assigned partition has records and brings none, joining the consumer group anew"
        );
        metric::stalled(&self.label());
        intake.reopen(generation, self.projection.subscribes(), self.projection.pace()).await
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
            let patience = self.runtime.config.batch_timeout();
            let taking = self.take_in(batch, memory, intake.assignments());
            let silent = || Setback::Silent { waited_s: patience.as_secs_f64() };
            let taken = timeout(patience, taking).await.unwrap_or_else(|_elapsed| Err(silent()));
            let setback = match taken {
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
