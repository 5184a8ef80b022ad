//! Applies prepared batches: overlapping where that is safe, one at a time where it is not.
//!
//! Batches overlap while nothing is parked, missing or failing. Otherwise the batches in flight end first, and each
//! batch is applied on its own ([`Worker::apply_batch`]) until it is.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use domain::stream_id::StreamId;
use sqlx::{Postgres, Transaction};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    PartitionAssignmentState, Worker,
    batch::{self, BatchOutcome},
    batch_error::BatchError,
    in_flight::{BatchWriter, EndedBatch, InFlightBatches, WriteFailure},
    prepared_batch::PreparedBatch,
    rejected_event_search::ApplyFailure,
};
use crate::runtime::{
    Checkpoint, ControlStore, ProjectedChanges, consumed_record::ConsumedRecord, consumer::PartitionAssignment,
    control_store::postgres_error, worker_metrics,
};

/// A batch that may overlap with others.
pub(super) struct OverlappingBatch {
    batch: PreparedBatch,
    projected: ProjectedChanges,
    /// The checkpoints of its partitions after it.
    advanced: Checkpoint,
}

/// A batch that may be written: the transaction holds the generation's lock, so that verify sees no event without its
/// checkpoint.
pub(super) struct BegunBatch {
    transaction: Transaction<'static, Postgres>,
    started: Instant,
}

/// The outcome of a batch that has overlapped with others.
pub(super) struct CommittedBatch {
    outcome: BatchOutcome,
    started: Instant,
}

impl BatchWriter for Worker {
    type Batch = OverlappingBatch;
    type Begun = BegunBatch;
    type Committed = CommittedBatch;

    fn stream_hashes(batch: &OverlappingBatch) -> &HashSet<u64> {
        &batch.batch.streams
    }

    async fn begin(&self, _batch: &OverlappingBatch) -> Result<BegunBatch, WriteFailure> {
        let started = Instant::now();
        let opening = async {
            let begun = self.runtime.control.begin_batch(self.projection.name(), self.build.generation).await;
            begun.map_err(|error| WriteFailure::Batch(error.into()))
        };
        let transaction = self.within_batch_timeout(opening).await?;
        Ok(BegunBatch { transaction, started })
    }

    async fn write(&self, batch: &OverlappingBatch) -> Result<(), WriteFailure> {
        let events = self.events_to_apply(&batch.batch.records);
        let write = async {
            self.apply_projected(&batch.projected, &events).await.map_err(|failure| match failure {
                ApplyFailure::Rejected(_) => WriteFailure::Rejected,
                ApplyFailure::Batch(error) => WriteFailure::Batch(error),
            })
        };
        self.within_batch_timeout(batch.batch.spans.scope(write)).await
    }

    async fn commit(&self, batch: &OverlappingBatch, begun: BegunBatch) -> Result<CommittedBatch, WriteFailure> {
        let BegunBatch { mut transaction, started } = begun;
        let commit = async {
            let (name, generation) = (self.projection.name(), self.build.generation);
            ControlStore::save_checkpoint(&mut transaction, name, generation, &batch.advanced).await?;
            transaction.commit().await.map_err(postgres_error("committing checkpoints"))
        };
        self.within_batch_timeout(async { commit.await.map_err(|error| WriteFailure::Batch(error.into())) }).await?;
        let records = &batch.batch.records;
        let progress = batch::measure_progress(records, self.events_to_apply(records).len() as u64, 0);
        let outcome = BatchOutcome { progress, next_offsets: batch::next_offsets(records) };
        Ok(CommittedBatch { outcome, started })
    }
}

impl Worker {
    async fn within_batch_timeout<T>(
        &self,
        step: impl Future<Output = Result<T, WriteFailure>>,
    ) -> Result<T, WriteFailure> {
        let batch_timeout = self.runtime.config.batch_timeout();
        let timed_out = || WriteFailure::Batch(BatchError::TimedOut { waited_s: batch_timeout.as_secs_f64() });
        timeout(batch_timeout, step).await.unwrap_or_else(|_elapsed| Err(timed_out()))
    }
}

/// Applies the batches of a worker.
pub(super) struct BatchPipeline {
    worker: Arc<Worker>,
    assignment: Arc<PartitionAssignment>,
    /// The checkpoint includes the batches in flight.
    state: PartitionAssignmentState,
    in_flight: InFlightBatches<Worker>,
    /// The transactions of the batches to apply alone, in their order, after an event was rejected; empty otherwise. A
    /// part of these batches is in the store without its checkpoint, so the generation's lock is not released between.
    held: VecDeque<Option<Transaction<'static, Postgres>>>,
    shutdown: CancellationToken,
}

/// Shutdown was requested before a batch was applied.
struct PipelineInterruption;

impl BatchPipeline {
    pub(super) fn new(worker: Arc<Worker>, assignment: Arc<PartitionAssignment>, shutdown: CancellationToken) -> Self {
        let in_flight = InFlightBatches::new(Arc::clone(&worker), worker.projection.concurrent_writes());
        let (state, held) = (PartitionAssignmentState::default(), VecDeque::new());
        Self { worker, assignment, state, in_flight, held, shutdown }
    }

    /// Applies batches until shutdown or until there are no more; then lets those in flight end.
    pub(super) async fn run(mut self, mut prepared: mpsc::Receiver<PreparedBatch>) {
        loop {
            let outcome = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                ended = self.in_flight.next_ended() => self.handle_ended(ended).await,
                batch = prepared.recv() => match batch {
                    Some(batch) => self.take_in(batch).await,
                    None => break,
                },
            };
            if outcome.is_err() {
                return;
            }
        }
        drop(self.drain().await);
    }

    /// Begins to write a batch, or applies it on its own.
    async fn take_in(&mut self, mut batch: PreparedBatch) -> Result<(), PipelineInterruption> {
        let version = self.assignment.version();
        if batch.assignment_version != version {
            batch.drop_revoked(&self.assignment);
        }
        if self.state.assignment_version != version || !self.can_overlap(&batch) {
            self.drain().await?;
            return self.apply_alone(batch, None).await;
        }
        let Some(projected) = batch.projected.take() else { return self.apply_alone(batch, None).await };
        let advanced = batch::advance_checkpoint(&batch.records, &self.state.checkpoint, self.worker.build.handover);
        self.state.checkpoint.0.extend(advanced.0.iter().map(|(partition, saved)| (partition.clone(), *saved)));
        self.in_flight.start(OverlappingBatch { batch, projected, advanced });
        Ok(())
    }

    fn can_overlap(&self, batch: &PreparedBatch) -> bool {
        let is_parked = |record: &ConsumedRecord| {
            let stream = record.event.as_ref().map(StreamId::from_event);
            stream.is_some_and(|stream| self.state.parked.contains(&stream))
        };
        batch.projected.is_some()
            && self.worker.check_incarnation(&batch.records).is_ok()
            && self.worker.find_first_gap(&batch.records, &self.state).is_none()
            && (self.state.parked.is_empty() || !batch.records.iter().any(is_parked))
    }

    /// Waits until no batch is in flight.
    async fn drain(&mut self) -> Result<(), PipelineInterruption> {
        while !self.in_flight.is_empty() {
            let ended = self.in_flight.next_ended().await;
            self.handle_ended(ended).await?;
        }
        Ok(())
    }

    /// Records the outcome of the first batch in flight. After a failure, this batch and all later ones are applied on
    /// their own.
    async fn handle_ended(&mut self, ended: EndedBatch<Worker>) -> Result<(), PipelineInterruption> {
        let EndedBatch { batch, outcome, begun } = ended;
        let mut error = match outcome {
            Ok(CommittedBatch { outcome, started }) => {
                self.record_outcome(outcome, started);
                return Ok(());
            }
            Err(WriteFailure::Batch(error)) => Some(error),
            Err(WriteFailure::Rejected | WriteFailure::Abandoned) => None,
        };
        // During an outage, which may last, nothing is held.
        let holds_lock = error.is_none();
        let (mut returned, mut held) = (vec![batch], vec![begun]);
        for later in self.in_flight.cancel().await {
            returned.push(later.batch);
            held.push(later.begun);
        }
        if holds_lock {
            self.held = held.into_iter().map(|begun| begun.map(|begun| begun.transaction)).collect();
        } else {
            drop(held);
        }
        // The checkpoints of these batches are not saved.
        self.state.assignment_version = 0;
        for batch in returned {
            self.apply_alone(batch.batch, error.take()).await?;
        }
        Ok(())
    }

    /// Applies a batch, retrying without limit. `error` comes from an earlier attempt that has failed.
    async fn apply_alone(
        &mut self,
        mut batch: PreparedBatch,
        mut error: Option<BatchError>,
    ) -> Result<(), PipelineInterruption> {
        let (worker, config) = (Arc::clone(&self.worker), self.worker.runtime.config.clone());
        let (mut failures, mut transaction) = (0, self.held.pop_front().flatten());
        loop {
            let version = self.assignment.version();
            if batch.assignment_version != version {
                batch.drop_revoked(&self.assignment);
                batch.assignment_version = version;
            }
            if batch.records.is_empty() {
                return Ok(());
            }
            if error.is_none() {
                let started = Instant::now();
                let applying = worker.apply_batch(&batch.records, &mut self.state, version, transaction.take());
                let applying = batch.spans.scope(applying);
                let batch_timeout = config.batch_timeout();
                let timed_out = || BatchError::TimedOut { waited_s: batch_timeout.as_secs_f64() };
                match timeout(batch_timeout, applying).await.unwrap_or_else(|_elapsed| Err(timed_out())) {
                    Ok(outcome) => {
                        self.record_outcome(outcome, started);
                        return Ok(());
                    }
                    Err(failure) => error = Some(failure),
                }
            }
            failures += 1;
            self.held.clear();
            // The cached state may have caused the failure: the retry reloads it.
            self.state.assignment_version = 0;
            let is_circuit_open = error.take().is_some_and(|error| worker.count_failure(&error, failures));
            loop {
                tokio::select! {
                    biased;
                    () = self.shutdown.cancelled() => return Err(PipelineInterruption),
                    // A revocation waits until the records of its partitions are dropped.
                    () = self.assignment.wait_for_change(version) => break,
                    () = tokio::time::sleep(config.retry_pause(failures)) => {}
                }
                // While the circuit is open, the batch is retried only after the store has answered a ping.
                if !is_circuit_open || worker.projection.ping().await.is_ok() {
                    break;
                }
                failures = failures.saturating_add(1);
            }
        }
    }

    fn record_outcome(&self, outcome: BatchOutcome, started: Instant) {
        let BatchOutcome { progress, next_offsets } = outcome;
        self.assignment.record_write_time(started.elapsed());
        self.assignment.record_applied(next_offsets);
        let labels = self.worker.metric_labels();
        worker_metrics::record_batch(&labels, &progress, started.elapsed());
        worker_metrics::set_batches_in_flight(&labels, self.assignment.batches_in_flight());
        self.worker.status.record_progress(progress);
    }
}
