//! Events that never reach a worker through Kafka are read from the log.
//!
//! Every record carries its number on the partition, so a worker notices what is missing: records that expired before
//! it read them, offsets that were lost or moved, topics that were cut. The log has all of it.

use domain::{envelope::PartitionEnd, log::LogPart, partition::partition_of};

use super::{Memory, Worker, batch::Taken, setback::Setback};
use crate::runtime::{PartitionMark, delivery::Delivery};

/// What is missing on a partition, in positions: behind the first, up to the second.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) after: u64,
    pub(super) to: u64,
    /// The number of the last event that is missing.
    pub(super) ordinal: Option<u64>,
}

/// The number of the last event that a partition's records must follow on; `None` where nothing is known.
pub(super) fn expected_after(mark: Option<&PartitionMark>, handover: u64) -> Option<u64> {
    match mark {
        Some(mark) => mark.ordinal,
        // A generation that never read this partition starts with its first event.
        None if handover == 0 => Some(0),
        None => None,
    }
}

/// What is missing before a record, when `last` is the number of the event before it and `position` is up to where
/// everything is taken in.
pub(super) fn missing_before(record: &PartitionEnd, is_event: bool, last: Option<u64>, position: u64) -> Option<u64> {
    let (last, ordinal) = (last?, record.ordinal?);
    // An event has a number of its own; a beacon repeats that of the last event.
    let follows = if is_event { ordinal <= last + 1 } else { ordinal <= last };
    let to = if is_event { record.watermark.saturating_sub(1) } else { record.watermark };
    (!follows && to > position).then_some(to)
}

impl Worker {
    /// Takes in what a partition lacks, from the log.
    pub(super) async fn heal(&self, gap: &Gap, memory: &mut Memory) -> Result<Taken, Setback> {
        let Gap { topic, partition, after, to, ordinal } = gap;
        tracing::warn!(
            projection.name = self.projection.name(),
            generation = %self.build.generation,
            kafka.topic = topic,
            kafka.partition = partition,
            after,
            to,
            "kafka lacks events, reading them from the log"
        );
        let partitions = self.runtime.partitions(self.projection.as_ref()).await.map_err(Setback::Kafka)?;
        let count = partitions.get(topic).copied().unwrap_or_default();
        let subscribed = self.projection.subscribes();
        let context = subscribed.iter().find(|context| context.topic(&self.runtime.config.topic_prefix) == *topic);
        let part = LogPart {
            contexts: context.into_iter().copied().collect(),
            aggregate_id: None,
            after: *after,
            to: *to,
            batch_events: self.projection.pace().batch_events,
            batch_bytes: self.runtime.config.batch_bytes,
        };
        let mut cursor = self.runtime.log.read(part).await.map_err(Setback::Log)?;
        let mut healed = Taken::default();
        while let Some(batch) = cursor.next().await.map_err(Setback::Log)? {
            let ours = batch.events.into_iter().filter(|event| partition_of(&event.aggregate_id, count) == *partition);
            let mut ours: Vec<_> = ours.map(|event| Delivery::from_log(topic.clone(), *partition, event)).collect();
            let taken = self.take_in_whole(&mut ours, memory).await?;
            healed.add(&taken);
            healed.progress.healed += taken.progress.applied;
        }
        // Kept with the next record of the partition.
        let mark = memory.checkpoint.0.entry((topic.clone(), *partition)).or_default();
        (mark.position, mark.ordinal) = (mark.position.max(*to), *ordinal);
        Ok(healed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ordinal: u64, position: u64) -> PartitionEnd {
        PartitionEnd { ordinal: Some(ordinal), watermark: position, ..PartitionEnd::default() }
    }

    #[test]
    fn the_next_event_and_a_repeated_one_lack_nothing() {
        assert_eq!(missing_before(&event(5, 50), true, Some(4), 40), None);
        assert_eq!(missing_before(&event(3, 30), true, Some(4), 40), None);
        assert_eq!(missing_before(&event(4, 45), false, Some(4), 40), None);
    }

    #[test]
    fn an_event_or_a_beacon_that_comes_too_early_says_what_is_missing() {
        assert_eq!(missing_before(&event(6, 50), true, Some(4), 40), Some(49));
        assert_eq!(missing_before(&event(5, 45), false, Some(4), 40), Some(45));
    }

    #[test]
    fn where_numbers_are_not_known_nothing_is_missing() {
        assert_eq!(missing_before(&event(6, 50), true, None, 40), None);
        assert_eq!(missing_before(&PartitionEnd::default(), true, Some(4), 40), None);
    }

    #[test]
    fn a_new_generation_expects_the_first_event() {
        assert_eq!(expected_after(None, 0), Some(0));
        assert_eq!(expected_after(None, 17), None);
        let mark = PartitionMark { ordinal: Some(9), ..PartitionMark::default() };
        assert_eq!(expected_after(Some(&mark), 17), Some(9));
    }
}
