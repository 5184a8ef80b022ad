//! What becomes of one batch.
//!
//! ```text
//! records ─▶ right log? nothing missing? ─▶ unpack ─▶ project ─▶ apply ─▶ shown? ─▶ checkpoints ─▶ offsets
//!                              │               │         │         └ refused: find the event
//!                    missing: from the log     └─────────┴─────────┴▶ park the event and what follows of its stream
//! ```
//! Dead letters and checkpoints are written in one transaction, which holds a shared lock: whoever compares the store
//! with the log takes it alone and then sees a store that stands exactly at its checkpoints.

use std::{
    collections::{BTreeMap, HashSet},
    time::SystemTime,
};

use chrono::{DateTime, Utc};

use super::{
    AssignmentState, Worker,
    backfill::{PartitionGap, gap_end_before, last_known_ordinal},
    batch_error::BatchError,
};
use crate::runtime::{
    Checkpoint, ControlStore, PartitionCheckpoint, ProjectionError,
    consumed_record::ConsumedRecord,
    control_store::postgres_error,
    dead_letter::{self, NewDeadLetter, StreamKey},
    worker_status::BatchProgress,
};

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct BatchOutcome {
    pub(super) progress: BatchProgress,
    /// Where the broker goes on.
    pub(super) next_offsets: BTreeMap<(String, i32), i64>,
}

impl BatchOutcome {
    pub(super) fn merge(&mut self, more: &Self) {
        self.progress.applied += more.progress.applied;
        self.progress.parked += more.progress.parked;
        self.progress.healed += more.progress.healed;
        self.progress.position = self.progress.position.max(more.progress.position);
        self.progress.lag_s = more.progress.lag_s;
        self.next_offsets.extend(more.next_offsets.iter().map(|(place, offset)| (place.clone(), *offset)));
    }
}

impl Worker {
    /// Takes in all of a batch, and before it what Kafka lacks. Doing it again changes nothing.
    pub(super) async fn apply_batch(
        &self,
        batch: &mut [ConsumedRecord],
        memory: &mut AssignmentState,
        assignments: u64,
    ) -> Result<BatchOutcome, BatchError> {
        self.reload_assignment_state(memory, assignments).await?;
        self.check_incarnation(batch)?;
        let (mut taken, mut rest) = (BatchOutcome::default(), batch);
        // What is missing has to go in between what stands before and after it.
        while let Some((place, gap)) = self.find_first_gap(rest, memory) {
            let (before, after) = rest.split_at_mut(place);
            if !before.is_empty() {
                taken.merge(&self.apply_gapless_batch(before, memory).await?);
            }
            taken.merge(&self.backfill_gap(&gap, memory).await?);
            rest = after;
        }
        taken.merge(&self.apply_gapless_batch(rest, memory).await?);
        Ok(taken)
    }

    /// Reads what the worker has to know, if partitions have come or gone since it was read.
    async fn reload_assignment_state(&self, memory: &mut AssignmentState, assignments: u64) -> Result<(), BatchError> {
        if memory.assignment_version == assignments {
            return Ok(());
        }
        let (name, generation) = (self.projection.name(), self.build.generation);
        memory.checkpoint = self.runtime.control.load_checkpoint(name, generation).await?;
        memory.parked = dead_letter::load_parked_streams(self.runtime.control.pool(), name, generation).await?;
        memory.assignment_version = assignments;
        Ok(())
    }

    /// Records of another log mean nothing here: their positions are others.
    fn check_incarnation(&self, batch: &[ConsumedRecord]) -> Result<(), BatchError> {
        let expected = self.build.incarnation;
        match batch.iter().filter_map(|delivery| delivery.mark.incarnation).find(|found| *found != expected) {
            None => Ok(()),
            Some(found) => Err(BatchError::OtherIncarnation {
                projection: self.projection.name(),
                generation: self.build.generation,
                found,
                expected,
            }),
        }
    }

    /// The first record before which something is missing, and what.
    fn find_first_gap(&self, batch: &[ConsumedRecord], memory: &AssignmentState) -> Option<(usize, PartitionGap)> {
        let mut seen = BTreeMap::<(&str, i32), (Option<u64>, u64)>::new();
        for (index, delivery) in batch.iter().enumerate() {
            let place = (delivery.topic.as_str(), delivery.partition);
            let (last, position) = seen.entry(place).or_insert_with(|| {
                let mark = memory.checkpoint.0.get(&(delivery.topic.clone(), delivery.partition));
                let position = mark.map_or(self.build.handover, |mark| mark.position);
                (last_known_ordinal(mark, self.build.handover), position)
            });
            let is_event = delivery.event.is_some();
            if let Some(to) = gap_end_before(&delivery.mark, is_event, *last, *position) {
                let (topic, partition) = (delivery.topic.clone(), delivery.partition);
                let ordinal = delivery.mark.ordinal.map(|ordinal| ordinal - u64::from(is_event));
                return Some((index, PartitionGap { topic, partition, after: *position, to, ordinal }));
            }
            *last = delivery.mark.ordinal.or(*last).max(*last);
            *position = (*position).max(delivery.mark.watermark);
        }
        None
    }

    /// Takes in all of a batch from which nothing is missing.
    pub(super) async fn apply_gapless_batch(
        &self,
        batch: &mut [ConsumedRecord],
        memory: &mut AssignmentState,
    ) -> Result<BatchOutcome, BatchError> {
        for delivery in &mut *batch {
            delivery.decode_event(&self.runtime.registry).await.map_err(to_batch_error)?;
        }
        let (name, generation) = (self.projection.name(), self.build.generation);
        let mut transaction = self.runtime.control.begin_shared(name, generation).await?;
        let mut candidates = HashSet::new();
        if !memory.parked.is_empty() {
            let streams = batch.iter().filter_map(|delivery| delivery.event.as_ref().map(StreamKey::from_event));
            candidates.extend(streams.filter(|key| memory.parked.contains(key)));
        }
        let standing = dead_letter::lock_parked_streams(&mut transaction, name, generation, &candidates).await?;
        let (letters, applied) = self.apply_or_park(batch, standing.clone()).await?;
        let parked = letters.len() as u64;
        let newly: HashSet<_> = letters.iter().map(|letter| letter.stream.clone()).collect();
        if letters.is_empty() {
            // A crash of Postgres may take the newest checkpoints back: then events come again, or are read from the
            // log, and neither changes anything.
            sqlx::query("set local synchronous_commit = off")
                .execute(&mut *transaction)
                .await
                .map_err(postgres_error("moving checkpoints"))?;
        } else {
            dead_letter::park_events(&mut transaction, name, generation, &letters).await?;
            self.check_parked_limit(&mut transaction).await?;
        }
        let marks = advance_checkpoint(batch, &memory.checkpoint, self.build.handover);
        ControlStore::save_checkpoint(&mut transaction, name, generation, &marks).await?;
        transaction.commit().await.map_err(postgres_error("committing checkpoints"))?;
        for letter in letters.iter().filter(|letter| letter.reason.is_some()) {
            letter.log_parked(name, generation);
        }
        memory.parked.retain(|key| !candidates.contains(key) || standing.contains(key));
        memory.parked.extend(newly);
        let next_offsets = next_offsets(batch);
        memory.checkpoint.0.extend(marks.0);
        let progress =
            BatchProgress { applied, parked, position: highest_position(batch), healed: 0, lag_s: lag_s(batch) };
        Ok(BatchOutcome { progress, next_offsets })
    }

    /// Applies what can be applied; answers with what has to be parked, and how many events were applied.
    async fn apply_or_park<'a>(
        &self,
        batch: &'a [ConsumedRecord],
        mut blocked: HashSet<StreamKey>,
    ) -> Result<(Vec<NewDeadLetter<'a>>, u64), BatchError> {
        let mut reasons = BTreeMap::<usize, String>::new();
        loop {
            let (mut places, mut events) = (vec![], vec![]);
            let mut held_back = blocked.clone();
            for (place, delivery) in batch.iter().enumerate() {
                let Some(event) = delivery.event.as_ref().filter(|_| !self.is_before_handover(delivery)) else {
                    continue;
                };
                if delivery.fault.is_some() || reasons.contains_key(&place) {
                    held_back.insert(StreamKey::from_event(event));
                }
                // Nearly always nothing is held back, and naming a stream costs more than looking.
                if held_back.is_empty() || !held_back.contains(&StreamKey::from_event(event)) {
                    places.push(place);
                    events.push(event);
                }
            }
            let projected = self.projection.project(&events);
            let found: Vec<_> = if projected.poison.is_empty() {
                let culprits = self.apply_or_isolate(&projected, &events).await?;
                culprits.into_iter().map(|culprit| (culprit.index, culprit.reason)).collect()
            } else {
                projected.poison
            };
            if found.is_empty() {
                blocked = held_back;
                let letters =
                    collect_letters(batch, &places, &reasons, &blocked, |delivery| self.is_before_handover(delivery));
                return Ok((letters, events.len() as u64));
            }
            reasons.extend(found.into_iter().map(|(index, reason)| (places[index], reason_text(&reason))));
        }
    }

    /// Whether an event was taken in from the log before this generation followed Kafka.
    fn is_before_handover(&self, delivery: &ConsumedRecord) -> bool {
        delivery.offset >= 0
            && delivery.event.as_ref().is_some_and(|event| event.position > 0 && event.position <= self.build.handover)
    }

    async fn check_parked_limit(&self, connection: &mut sqlx::PgConnection) -> Result<(), BatchError> {
        let (name, generation) = (self.projection.name(), self.build.generation);
        let parked = dead_letter::count_parked_streams(connection, name, generation).await?;
        let limit = self.runtime.config.parked_sequences_max;
        if parked > u64::from(limit) { Err(BatchError::TooManyParked { parked, limit }) } else { Ok(()) }
    }
}

/// What of a batch has to be parked: everything of a blocked stream that was not applied.
fn collect_letters<'a>(
    batch: &'a [ConsumedRecord],
    applied: &[usize],
    reasons: &BTreeMap<usize, String>,
    blocked: &HashSet<StreamKey>,
    is_known: impl Fn(&ConsumedRecord) -> bool,
) -> Vec<NewDeadLetter<'a>> {
    let applied: HashSet<_> = applied.iter().collect();
    let mut letters = vec![];
    for (place, delivery) in batch.iter().enumerate() {
        let Some(event) = &delivery.event else { continue };
        let stream = StreamKey::from_event(event);
        if applied.contains(&place) || !blocked.contains(&stream) || is_known(delivery) {
            continue;
        }
        let reason = reasons.get(&place).cloned().or_else(|| delivery.fault.as_ref().map(reason_text));
        letters.push(NewDeadLetter { stream, event, raw_record: delivery.to_raw_record(), reason });
    }
    letters
}

fn reason_text(reason: &ProjectionError) -> String {
    crate::runtime::error::error_chain(reason)
}

/// The checkpoints of the batch's partitions once it is taken in.
fn advance_checkpoint(batch: &[ConsumedRecord], before: &Checkpoint, handover: u64) -> Checkpoint {
    // What no record said yet must not be forgotten by a healing that is cut off.
    let first = PartitionCheckpoint { ordinal: last_known_ordinal(None, handover), ..PartitionCheckpoint::default() };
    let mut marks = BTreeMap::<(&str, i32), PartitionCheckpoint>::new();
    for delivery in batch {
        let place = (delivery.topic.as_str(), delivery.partition);
        let known = || before.0.get(&(delivery.topic.clone(), delivery.partition)).copied().unwrap_or(first);
        let mark = marks.entry(place).or_insert_with(known);
        mark.position = mark.position.max(delivery.mark.watermark);
        mark.ordinal = delivery.mark.ordinal.max(mark.ordinal);
        mark.next_offset = mark.next_offset.max(delivery.offset + 1);
    }
    Checkpoint(marks.into_iter().map(|((topic, partition), mark)| ((topic.to_owned(), partition), mark)).collect())
}

fn next_offsets(batch: &[ConsumedRecord]) -> BTreeMap<(String, i32), i64> {
    let from_kafka = batch.iter().filter(|delivery| delivery.offset >= 0);
    let next: BTreeMap<_, _> =
        from_kafka.map(|delivery| ((delivery.topic.as_str(), delivery.partition), delivery.offset + 1)).collect();
    next.into_iter().map(|((topic, partition), offset)| ((topic.to_owned(), partition), offset)).collect()
}

fn highest_position(batch: &[ConsumedRecord]) -> u64 {
    batch.iter().filter_map(|delivery| delivery.event.as_ref()).map(|event| event.position).max().unwrap_or_default()
}

/// How long ago the newest event of the batch was recorded, in seconds.
fn lag_s(batch: &[ConsumedRecord]) -> f64 {
    let newest = batch.iter().filter_map(|delivery| delivery.event.as_ref()).map(|event| event.recorded_at).max();
    let age = newest.and_then(|at| (DateTime::<Utc>::from(SystemTime::now()) - at).to_std().ok());
    age.unwrap_or_default().as_secs_f64()
}

fn to_batch_error(error: ProjectionError) -> BatchError {
    match error {
        ProjectionError::Unavailable(source) | ProjectionError::Refused(source) | ProjectionError::Poison(source) => {
            BatchError::Store(source)
        }
    }
}

#[cfg(test)]
mod tests;
