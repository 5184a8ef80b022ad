//! Detects stalled partitions: those that have records and deliver none.
//!
//! The client library fetches the committed offset of a partition when the partition is assigned. It never recovers
//! from some failures of that request: the partition stays assigned and is never fetched. Only the broker's end offset
//! distinguishes such a partition from an idle one.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::EndOffsets;

/// A topic and a partition.
pub(in crate::runtime) type TopicPartition = (String, i32);

/// A partition that has records and delivers none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct StalledPartition {
    pub(in crate::runtime) topic_partition: TopicPartition,
    /// The offset of the next record that the worker expects.
    pub(in crate::runtime) next: i64,
    /// The offset after the last record.
    pub(in crate::runtime) end: i64,
}

/// The last activity of each assigned partition, and the stalls that were reported.
#[derive(Debug, Default)]
pub(in crate::runtime) struct StallDetector {
    /// The offset after the last record and when it arrived; 0 and the time of assignment before the first record.
    last_activity: BTreeMap<TopicPartition, (i64, Instant)>,
    /// End offsets for which the group was rejoined; it is rejoined once for each.
    handled_ends: BTreeMap<TopicPartition, i64>,
}

impl StallDetector {
    pub(super) fn record_activity(&mut self, partition: TopicPartition, next: i64, now: Instant) {
        self.last_activity.insert(partition, (next, now));
    }

    /// Replaces the set of assigned partitions.
    pub(super) fn set_assignment(&mut self, partitions: &[TopicPartition], now: Instant) {
        self.last_activity.retain(|partition, _| partitions.contains(partition));
        for partition in partitions {
            self.last_activity.entry(partition.clone()).or_insert((0, now));
        }
    }

    /// Whether a partition has delivered nothing for `stall_after`.
    pub(super) fn has_silent_partition(&self, stall_after: Duration, now: Instant) -> bool {
        self.last_activity.values().any(|(_, at)| now.duration_since(*at) >= stall_after)
    }

    /// Returns the first stalled partition; it is not returned again until its end offset changes. `checkpoint_offset`
    /// returns the next offset of a partition that has delivered nothing yet.
    pub(super) fn take_stalled(
        &mut self,
        ends: &EndOffsets,
        checkpoint_offset: impl Fn(&TopicPartition) -> i64,
        stall_after: Duration,
        now: Instant,
    ) -> Option<StalledPartition> {
        let found = self.last_activity.iter().find_map(|(partition, (next, at))| {
            let (end, next) = (*ends.get(partition)?, (*next).max(checkpoint_offset(partition)));
            let is_new = self.handled_ends.get(partition) != Some(&end);
            (end > next && is_new && now.duration_since(*at) >= stall_after).then(|| StalledPartition {
                topic_partition: partition.clone(),
                next,
                end,
            })
        })?;
        self.handled_ends.insert(found.topic_partition.clone(), found.end);
        Some(found)
    }

    /// Discards the activity of all partitions, after the group was rejoined.
    pub(super) fn reset(&mut self) {
        self.last_activity.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL_AFTER: Duration = Duration::from_secs(30);

    fn partition(partition: i32) -> TopicPartition {
        ("t".to_owned(), partition)
    }

    #[test]
    fn a_stalled_partition_is_returned_once_for_each_end_offset() {
        let (mut detector, start) = (StallDetector::default(), Instant::now());
        let ends = |end| EndOffsets::from([(partition(0), 5), (partition(1), end)]);
        detector.set_assignment(&[partition(0), partition(1)], start);
        detector.record_activity(partition(0), 5, start);
        let late = start + STALL_AFTER;
        assert!(!detector.has_silent_partition(STALL_AFTER, start + STALL_AFTER / 2));
        assert!(detector.has_silent_partition(STALL_AFTER, late));
        let stalled = detector.take_stalled(&ends(9), |_| 4, STALL_AFTER, late);
        assert_eq!(stalled, Some(StalledPartition { topic_partition: partition(1), next: 4, end: 9 }));
        assert_eq!(detector.take_stalled(&ends(9), |_| 4, STALL_AFTER, late), None, "the same end again");
        assert!(detector.take_stalled(&ends(10), |_| 4, STALL_AFTER, late).is_some());
    }

    #[test]
    fn a_consumed_active_or_unassigned_partition_is_not_stalled() {
        let (mut detector, start) = (StallDetector::default(), Instant::now());
        let (ends, late) = (EndOffsets::from([(partition(0), 5), (partition(1), 9)]), start + STALL_AFTER);
        detector.set_assignment(&[partition(0), partition(1)], start);
        assert_eq!(detector.take_stalled(&ends, |_| 9, STALL_AFTER, late), None, "everything is consumed");
        detector.record_activity(partition(1), 7, late);
        assert_eq!(detector.take_stalled(&ends, |_| 5, STALL_AFTER, late), None, "a record arrived just now");
        detector.set_assignment(&[partition(0)], late);
        assert_eq!(detector.take_stalled(&ends, |_| 5, STALL_AFTER, late + STALL_AFTER), None, "not assigned any more");
    }
}
