//! Applies one batch on its own: after a failure or a rebalance, and when it has a gap or an event to park.
//!
//! ```text
//! records ─▶ incarnation? gap? ─▶ project ─▶ apply ─▶ is applied? ─▶ checkpoints ─▶ offsets
//!                          │         │         └ rejected: find the event
//!          gap: read from the log    └─────────┴▶ park the event and the later ones of its stream
//! ```
//! Dead letters and checkpoints are written in one transaction, which holds a shared lock: verify takes the lock
//! exclusively and then sees a store that matches its checkpoints exactly.

use std::{
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use domain::stream_id::StreamId;
use sqlx::{Postgres, Transaction};

use super::{
    PartitionAssignmentState, Worker,
    backfill::{PartitionGap, gap_end_before, last_known_ordinal, last_ordinal_before},
    batch_error::BatchError,
};
use crate::runtime::{
    Checkpoint, ControlStore, PartitionCheckpoint, ProjectionError,
    consumed_record::ConsumedRecord,
    consumer::NextOffsets,
    control_store::postgres_error,
    dead_letter::{self, NewDeadLetter},
    worker_status::BatchProgress,
};

/// The outcome of applying a batch.
#[derive(Debug, Default)]
pub(super) struct BatchOutcome {
    pub(super) progress: BatchProgress,
    /// Offsets to commit.
    pub(super) next_offsets: NextOffsets,
}

impl BatchOutcome {
    pub(super) fn merge(&mut self, later: &Self) {
        self.progress.applied += later.progress.applied;
        self.progress.parked += later.progress.parked;
        self.progress.backfilled += later.progress.backfilled;
        self.progress.position = self.progress.position.max(later.progress.position);
        self.progress.lag_s = later.progress.lag_s;
        self.progress.delay_s = self.progress.delay_s.max(later.progress.delay_s);
        self.next_offsets.extend(later.next_offsets.iter().map(|(partition, offset)| (partition.clone(), *offset)));
    }
}

impl Worker {
    /// Applies a whole batch, and from the log the events that are missing in it. Idempotent. `transaction` is one of
    /// [`ControlStore::begin_batch`], if the batch has begun before.
    pub(super) async fn apply_batch(
        &self,
        batch: &[ConsumedRecord],
        assignment: &mut PartitionAssignmentState,
        assignment_version: u64,
        mut transaction: Option<Transaction<'static, Postgres>>,
    ) -> Result<BatchOutcome, BatchError> {
        self.reload_assignment_state(assignment, assignment_version).await?;
        self.check_incarnation(batch)?;
        let (mut outcome, mut remaining) = (BatchOutcome::default(), batch);
        // The missing events are applied between those before and after them.
        while let Some((index, gap)) = self.find_first_gap(remaining, assignment) {
            let (before, after) = remaining.split_at(index);
            if !before.is_empty() {
                outcome.merge(&self.apply_gapless_batch(before, assignment, transaction.take()).await?);
            }
            // Events that are read from the log have other transactions, which must not wait for this one.
            drop(transaction.take());
            outcome.merge(&self.backfill_gap(&gap, assignment).await?);
            remaining = after;
        }
        outcome.merge(&self.apply_gapless_batch(remaining, assignment, transaction).await?);
        Ok(outcome)
    }

    /// Reloads the cached state if the assigned partitions have changed since it was loaded.
    async fn reload_assignment_state(
        &self,
        assignment: &mut PartitionAssignmentState,
        assignment_version: u64,
    ) -> Result<(), BatchError> {
        if assignment.assignment_version == assignment_version {
            return Ok(());
        }
        let (name, generation) = (self.projection.name(), self.build.generation);
        assignment.checkpoint = self.runtime.control.load_checkpoint(name, generation).await?;
        assignment.parked = dead_letter::load_parked_streams(self.runtime.control.pool(), name, generation).await?;
        assignment.assignment_version = assignment_version;
        Ok(())
    }

    /// Rejects records of another log: their positions are not comparable.
    pub(super) fn check_incarnation(&self, batch: &[ConsumedRecord]) -> Result<(), BatchError> {
        let expected = self.build.incarnation;
        match batch.iter().filter_map(|record| record.partition_progress.incarnation).find(|found| *found != expected) {
            None => Ok(()),
            Some(found) => Err(BatchError::OtherIncarnation {
                projection: self.projection.name(),
                generation: self.build.generation,
                found,
                expected,
            }),
        }
    }

    /// Finds the first record before which events are missing: its index, and the gap.
    pub(super) fn find_first_gap(
        &self,
        batch: &[ConsumedRecord],
        assignment: &PartitionAssignmentState,
    ) -> Option<(usize, PartitionGap)> {
        let mut reached = BTreeMap::<(&str, i32), (Option<u64>, u64)>::new();
        for (index, record) in batch.iter().enumerate() {
            let partition = (record.topic.as_str(), record.partition);
            let (last, position) = reached.entry(partition).or_insert_with(|| {
                let applied = assignment.checkpoint.0.get(&(record.topic.clone(), record.partition));
                // A worker never backfills events from before the handover, even if Kafka no longer has them: a
                // forwarding projection must not react to past events.
                let position = applied.map_or(0, |applied| applied.position).max(self.build.handover);
                (last_ordinal_before(record.offset, applied, self.build.handover), position)
            });
            let is_event = record.event.is_some();
            if let Some(to) = gap_end_before(&record.partition_progress, is_event, *last, *position) {
                let (topic, partition) = (record.topic.clone(), record.partition);
                let ordinal = record.partition_progress.ordinal.map(|ordinal| ordinal - u64::from(is_event));
                return Some((index, PartitionGap { topic, partition, after: *position, to, ordinal }));
            }
            *last = record.partition_progress.ordinal.or(*last).max(*last);
            *position = (*position).max(record.partition_progress.watermark);
        }
        None
    }

    /// Applies a whole batch that has no gap, in this transaction if the batch has begun before.
    pub(super) async fn apply_gapless_batch(
        &self,
        batch: &[ConsumedRecord],
        assignment: &mut PartitionAssignmentState,
        transaction: Option<Transaction<'static, Postgres>>,
    ) -> Result<BatchOutcome, BatchError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let mut transaction = match transaction {
            Some(begun) => begun,
            None => self.runtime.control.begin_batch(name, generation).await?,
        };
        let mut candidates = HashSet::new();
        if !assignment.parked.is_empty() {
            let streams = batch.iter().filter_map(|record| record.event.as_ref().map(StreamId::from_event));
            candidates.extend(streams.filter(|key| assignment.parked.contains(key)));
        }
        let still_parked = dead_letter::lock_parked_streams(&mut transaction, name, generation, &candidates).await?;
        let (letters, applied) = self.apply_or_park(batch, &still_parked).await?;
        let parked = letters.len() as u64;
        let newly_parked: HashSet<_> = letters.iter().map(|letter| letter.stream.clone()).collect();
        if !letters.is_empty() {
            ControlStore::commit_durably(&mut transaction).await?;
            dead_letter::park_events(&mut transaction, name, generation, &letters).await?;
            self.check_parked_limit(&mut transaction).await?;
        }
        let advanced = advance_checkpoint(batch, &assignment.checkpoint, self.build.handover);
        ControlStore::save_checkpoint(&mut transaction, name, generation, &advanced).await?;
        transaction.commit().await.map_err(postgres_error("committing checkpoints"))?;
        for letter in letters.iter().filter(|letter| letter.reason.is_some()) {
            letter.log_parked(name, generation);
        }
        assignment.parked.retain(|key| !candidates.contains(key) || still_parked.contains(key));
        assignment.parked.extend(newly_parked);
        let next_offsets = next_offsets(batch);
        assignment.checkpoint.0.extend(advanced.0);
        Ok(BatchOutcome { progress: measure_progress(batch, applied, parked), next_offsets })
    }

    /// Applies the events that can be applied. Returns the events to park, and the number of applied events.
    async fn apply_or_park<'a>(
        &self,
        batch: &'a [ConsumedRecord],
        parked_streams: &HashSet<StreamId>,
    ) -> Result<(Vec<NewDeadLetter<'a>>, u64), BatchError> {
        let mut reasons = BTreeMap::<usize, String>::new();
        loop {
            let (mut indices, mut events) = (vec![], vec![]);
            let mut blocked_streams = parked_streams.clone();
            for (index, record) in batch.iter().enumerate() {
                let Some(event) = record.event.as_ref().filter(|_| !self.is_before_handover(record)) else {
                    continue;
                };
                if record.decode_error.is_some() || reasons.contains_key(&index) {
                    blocked_streams.insert(StreamId::from_event(event));
                }
                // Usually no stream is blocked, and creating a stream key costs more than this check.
                if blocked_streams.is_empty() || !blocked_streams.contains(&StreamId::from_event(event)) {
                    indices.push(index);
                    events.push(event);
                }
            }
            let projected = self.projection.project(&events);
            let failed: Vec<_> = if projected.poison.is_empty() {
                let rejected = self.apply_or_isolate(&projected, &events).await?;
                rejected.into_iter().map(|event| (event.index, event.reason)).collect()
            } else {
                projected.poison
            };
            if failed.is_empty() {
                let is_before_handover = |record: &ConsumedRecord| self.is_before_handover(record);
                let letters = collect_dead_letters(batch, &indices, &reasons, &blocked_streams, is_before_handover);
                return Ok((letters, events.len() as u64));
            }
            reasons.extend(failed.into_iter().map(|(index, reason)| (indices[index], reason_text(&reason))));
        }
    }

    /// Whether an event was applied from the log before this generation followed Kafka.
    pub(super) fn is_before_handover(&self, record: &ConsumedRecord) -> bool {
        record.offset >= 0
            && record.event.as_ref().is_some_and(|event| event.position > 0 && event.position <= self.build.handover)
    }

    async fn check_parked_limit(&self, connection: &mut sqlx::PgConnection) -> Result<(), BatchError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let parked = dead_letter::count_parked_streams(connection, name, generation).await?;
        let limit = self.runtime.config.parked_streams_max;
        if parked > u64::from(limit) { Err(BatchError::TooManyParked { parked, limit }) } else { Ok(()) }
    }
}

/// The events of a batch to park: all events of blocked streams that were not applied.
fn collect_dead_letters<'a>(
    batch: &'a [ConsumedRecord],
    applied: &[usize],
    reasons: &BTreeMap<usize, String>,
    blocked_streams: &HashSet<StreamId>,
    is_before_handover: impl Fn(&ConsumedRecord) -> bool,
) -> Vec<NewDeadLetter<'a>> {
    let mut letters = vec![];
    // Nearly always. What follows costs an allocation and a hash for each event.
    if blocked_streams.is_empty() {
        return letters;
    }
    let applied: HashSet<_> = applied.iter().collect();
    for (index, record) in batch.iter().enumerate() {
        let Some(event) = &record.event else { continue };
        let stream = StreamId::from_event(event);
        if applied.contains(&index) || !blocked_streams.contains(&stream) || is_before_handover(record) {
            continue;
        }
        let reason = reasons.get(&index).cloned().or_else(|| record.decode_error.as_ref().map(reason_text));
        letters.push(NewDeadLetter { stream, event, raw_record: record.to_raw_record(), reason });
    }
    letters
}

fn reason_text(reason: &ProjectionError) -> String {
    crate::runtime::error::format_limited_chain(reason)
}

/// The checkpoints of the batch's partitions after it is applied.
pub(super) fn advance_checkpoint(batch: &[ConsumedRecord], before: &Checkpoint, handover: u64) -> Checkpoint {
    // An interrupted backfill must not lose the ordinal that the partition starts from.
    let first = PartitionCheckpoint { ordinal: last_known_ordinal(None, handover), ..PartitionCheckpoint::default() };
    let mut advanced = BTreeMap::<(&str, i32), PartitionCheckpoint>::new();
    for (partition, records) in partition_runs(batch) {
        let previous = || before.0.get(&(partition.0.to_owned(), partition.1)).copied().unwrap_or(first);
        let applied = advanced.entry(partition).or_insert_with(previous);
        for record in records {
            applied.position = applied.position.max(record.partition_progress.watermark);
            applied.ordinal = record.partition_progress.ordinal.max(applied.ordinal);
            applied.next_offset = applied.next_offset.max(record.offset + 1);
        }
    }
    let owned = advanced.into_iter().map(|((topic, partition), applied)| ((topic.to_owned(), partition), applied));
    Checkpoint(owned.collect())
}

pub(super) fn next_offsets(batch: &[ConsumedRecord]) -> NextOffsets {
    let mut next = BTreeMap::new();
    for (partition, records) in partition_runs(batch) {
        // Events from the log have no offset.
        if let Some(last) = records.iter().rfind(|record| record.offset >= 0) {
            next.insert(partition, last.offset + 1);
        }
    }
    next.into_iter().map(|((topic, partition), offset)| ((topic.to_owned(), partition), offset)).collect()
}

/// Consecutive records of the same partition. A partition may occur in several runs.
fn partition_runs(batch: &[ConsumedRecord]) -> impl Iterator<Item = ((&str, i32), &[ConsumedRecord])> {
    let is_same =
        |one: &ConsumedRecord, next: &ConsumedRecord| one.partition == next.partition && one.topic == next.topic;
    let runs = batch.chunk_by(is_same);
    runs.filter_map(|records| records.first().map(|first| ((first.topic.as_str(), first.partition), records)))
}

/// What the worker's status says after it has applied a batch. Reads each record once: a large batch is no longer in the
/// processor's caches.
pub(super) fn measure_progress(batch: &[ConsumedRecord], applied: u64, parked: u64) -> BatchProgress {
    let mut position = 0;
    let (mut oldest, mut newest): (Option<DateTime<Utc>>, Option<DateTime<Utc>>) = (None, None);
    for event in batch.iter().filter_map(|record| record.event.as_ref()) {
        position = position.max(event.position);
        oldest = Some(oldest.map_or(event.recorded_at, |oldest| oldest.min(event.recorded_at)));
        newest = newest.max(Some(event.recorded_at));
    }
    BatchProgress { applied, parked, position, backfilled: 0, lag_s: age_s(newest), delay_s: age_s(oldest) }
}

fn age_s(recorded_at: Option<DateTime<Utc>>) -> f64 {
    let age = recorded_at.and_then(|at| (DateTime::<Utc>::from(SystemTime::now()) - at).to_std().ok());
    age.unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests;
