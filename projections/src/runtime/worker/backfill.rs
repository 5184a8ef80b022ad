//! Reads from the log the events that do not reach a worker through Kafka.
//!
//! Every record has its ordinal on the partition, so that a worker notices gaps: records that expired before they were
//! read, offsets that were lost or moved, topics that were truncated. The log has all events.

use domain::{envelope::PartitionProgress, log_reader::LogRange, partition::partition_for_key};

use super::{PartitionAssignmentState, Worker, batch::BatchOutcome, batch_error::BatchError};
use crate::runtime::{PartitionCheckpoint, consumed_record::ConsumedRecord};

/// Events missing on a partition: those at positions above `after`, up to and including `to`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PartitionGap {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) after: u64,
    pub(super) to: u64,
    /// The ordinal of the last missing event.
    pub(super) ordinal: Option<u64>,
}

/// The ordinal of the last event known on a partition; the next event has this ordinal plus one. `None` if unknown.
pub(super) fn last_known_ordinal(applied: Option<&PartitionCheckpoint>, handover: u64) -> Option<u64> {
    match applied {
        Some(applied) => applied.ordinal,
        // A generation that has not consumed this partition yet starts with its first event.
        None if handover == 0 => Some(0),
        None => None,
    }
}

/// The ordinal of the last event known before a record at this offset. If it is unknown and the offset is not the
/// expected one, all events after the position of the checkpoint count as missing.
pub(super) fn last_ordinal_before(offset: i64, applied: Option<&PartitionCheckpoint>, handover: u64) -> Option<u64> {
    let skips_records = applied.is_some_and(|applied| offset > applied.next_offset);
    last_known_ordinal(applied, handover).or(skips_records.then_some(0))
}

/// The position up to which events are missing before a record, if any are. `last` is the ordinal of the event before
/// the record, `position` the position up to which all events are applied.
pub(super) fn gap_end_before(
    record: &PartitionProgress,
    is_event: bool,
    last: Option<u64>,
    position: u64,
) -> Option<u64> {
    let (last, ordinal) = (last?, record.ordinal?);
    // An event has its own ordinal; a beacon repeats the last event's ordinal.
    let follows = if is_event { ordinal <= last + 1 } else { ordinal <= last };
    let to = if is_event { record.watermark.saturating_sub(1) } else { record.watermark };
    (!follows && to > position).then_some(to)
}

impl Worker {
    /// Applies the missing events of a partition, from the log.
    pub(super) async fn backfill_gap(
        &self,
        gap: &PartitionGap,
        assignment: &mut PartitionAssignmentState,
    ) -> Result<BatchOutcome, BatchError> {
        let PartitionGap { topic, partition, after, to, ordinal } = gap;
        tracing::warn!(
            projection.name = self.projection.name(),
            generation = %self.build.generation,
            kafka.topic = topic,
            kafka.partition = partition,
            after,
            to,
            "events are missing in kafka, reading them from the log"
        );
        let partitions = self.runtime.partition_counts(self.projection.as_ref()).await.map_err(BatchError::Kafka)?;
        let count = partitions.get(topic).copied().unwrap_or_default();
        let subscribed = self.projection.subscribed_contexts();
        let context = subscribed.iter().find(|context| context.topic(&self.runtime.config.topic_prefix) == *topic);
        let range = LogRange {
            contexts: context.into_iter().copied().collect(),
            aggregate_id: None,
            after: *after,
            to: *to,
            batch_events: self.projection.batch_limits().batch_events,
            batch_bytes: self.runtime.config.batch_bytes,
        };
        let mut cursor = self.runtime.log.read_batches(range).await.map_err(BatchError::Log)?;
        let mut outcome = BatchOutcome::default();
        while let Some(batch) = cursor.read_next_batch().await.map_err(BatchError::Log)? {
            let missing =
                batch.events.into_iter().filter(|event| partition_for_key(&event.aggregate_id, count) == *partition);
            let missing: Vec<_> =
                missing.map(|event| ConsumedRecord::from_log(topic.clone(), *partition, event)).collect();
            let applied = self.apply_gapless_batch(&missing, assignment, None).await?;
            outcome.merge(&applied);
            outcome.progress.backfilled += applied.progress.applied;
        }
        // Saved with the next record of the partition.
        let applied = assignment.checkpoint.0.entry((topic.clone(), *partition)).or_default();
        (applied.position, applied.ordinal) = (applied.position.max(*to), *ordinal);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ordinal: u64, position: u64) -> PartitionProgress {
        PartitionProgress { ordinal: Some(ordinal), watermark: position, ..PartitionProgress::default() }
    }

    #[test]
    fn the_next_and_a_repeated_record_follow_without_a_gap() {
        assert_eq!(gap_end_before(&event(5, 50), true, Some(4), 40), None);
        assert_eq!(gap_end_before(&event(3, 30), true, Some(4), 40), None);
        assert_eq!(gap_end_before(&event(4, 45), false, Some(4), 40), None);
    }

    #[test]
    fn a_skipped_ordinal_gives_the_end_of_the_gap() {
        assert_eq!(gap_end_before(&event(6, 50), true, Some(4), 40), Some(49));
        assert_eq!(gap_end_before(&event(5, 45), false, Some(4), 40), Some(45));
    }

    #[test]
    fn unknown_ordinals_give_no_gap() {
        assert_eq!(gap_end_before(&event(6, 50), true, None, 40), None);
        assert_eq!(gap_end_before(&PartitionProgress::default(), true, Some(4), 40), None);
    }

    #[test]
    fn a_skipped_offset_is_a_gap_where_no_ordinal_is_known() {
        let applied = PartitionCheckpoint { position: 40, ordinal: None, next_offset: 7 };
        let gap_at = |offset| gap_end_before(&event(9, 50), true, last_ordinal_before(offset, Some(&applied), 40), 40);
        assert_eq!((gap_at(6), gap_at(7), gap_at(8)), (None, None, Some(49)));
        let known = PartitionCheckpoint { ordinal: Some(8), ..applied };
        assert_eq!(last_ordinal_before(8, Some(&known), 40), Some(8));
        assert_eq!(last_ordinal_before(8, None, 40), None);
    }

    #[test]
    fn a_new_generation_expects_the_first_event() {
        assert_eq!(last_known_ordinal(None, 0), Some(0));
        assert_eq!(last_known_ordinal(None, 17), None);
        let applied = PartitionCheckpoint { ordinal: Some(9), ..PartitionCheckpoint::default() };
        assert_eq!(last_known_ordinal(Some(&applied), 17), Some(9));
    }
}
