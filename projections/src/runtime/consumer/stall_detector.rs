//! Detects stalled partitions, those that have records and deliver none, and consumers that have no partitions for long.
//!
//! The client library fetches the committed offset of a partition when the partition is assigned. It never recovers
//! from some failures of that request: the partition stays assigned and is never fetched. Only the broker's end offset
//! distinguishes such a partition from an idle one.
//!
//! A consumer without partitions may be one too many for its group, or it may have lost the broker.

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

/// Why a consumer should leave its group and rejoin it with a new client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime) enum ConsumerStall {
    /// A partition has records and delivers none.
    Partition(StalledPartition),
    /// The consumer has no partitions and finds no broker, although new clients do.
    LostBroker,
}

/// The last activity of each assigned partition, and the stalls that were reported.
#[derive(Debug, Default)]
pub(in crate::runtime) struct StallDetector {
    /// The offset after the last record and when it arrived; 0 and the time of assignment before the first record.
    last_activity: BTreeMap<TopicPartition, (i64, Instant)>,
    /// Since when no partition is assigned, or when that was last checked.
    unassigned_since: Option<Instant>,
    /// The next offsets of the partitions that had records and were silent when they were last checked.
    suspected: BTreeMap<TopicPartition, i64>,
    /// End offsets at the last rejoining of the group; it is rejoined once for each.
    handled_ends: BTreeMap<TopicPartition, i64>,
}

impl StallDetector {
    pub(super) fn record_activity(&mut self, partition: TopicPartition, next: i64, now: Instant) {
        self.last_activity.insert(partition, (next, now));
    }

    /// Replaces the set of assigned partitions.
    pub(super) fn set_assignment(&mut self, partitions: &[TopicPartition], now: Instant) {
        self.last_activity.retain(|partition, _| partitions.contains(partition));
        self.unassigned_since = partitions.is_empty().then(|| self.unassigned_since.unwrap_or(now));
        for partition in partitions {
            self.last_activity.entry(partition.clone()).or_insert((0, now));
        }
    }

    /// Whether a partition has delivered nothing, or none was assigned, for `stall_after`.
    pub(super) fn is_silent(&self, stall_after: Duration, now: Instant) -> bool {
        let last_activities = self.last_activity.values().map(|(_, at)| at);
        last_activities.chain(&self.unassigned_since).any(|at| now.duration_since(*at) >= stall_after)
    }

    /// Whether no partition was assigned for `stall_after`; then again only after as long.
    pub(super) fn take_unassigned(&mut self, stall_after: Duration, now: Instant) -> bool {
        let is_due = self.unassigned_since.is_some_and(|since| now.duration_since(since) >= stall_after);
        if is_due {
            self.unassigned_since = Some(now);
        }
        is_due
    }

    /// Returns the first stalled partition; it is not returned again until its end offset changes. A partition is
    /// stalled if it is silent and has records, and if it expected the same one in the check before: the first record
    /// after a long silence may have arrived just now. `checkpoint_offset` returns the next offset of a partition that
    /// has delivered nothing yet.
    pub(super) fn take_stalled(
        &mut self,
        ends: &EndOffsets,
        checkpoint_offset: impl Fn(&TopicPartition) -> i64,
        stall_after: Duration,
        now: Instant,
    ) -> Option<StalledPartition> {
        let silent: Vec<_> = self
            .last_activity
            .iter()
            .filter(|(_, (_, at))| now.duration_since(*at) >= stall_after)
            .filter_map(|(partition, (next, _))| {
                let (end, next) = (*ends.get(partition)?, (*next).max(checkpoint_offset(partition)));
                (end > next).then(|| StalledPartition { topic_partition: partition.clone(), next, end })
            })
            .collect();
        let next_offsets = silent.iter().map(|found| (found.topic_partition.clone(), found.next)).collect();
        let suspected = std::mem::replace(&mut self.suspected, next_offsets);
        let found = silent.into_iter().find(|found| {
            suspected.get(&found.topic_partition) == Some(&found.next)
                && self.handled_ends.get(&found.topic_partition) != Some(&found.end)
        })?;
        self.handled_ends.insert(found.topic_partition.clone(), found.end);
        Some(found)
    }

    /// Discards the activity of all partitions, after the group was rejoined or while nothing is consumed.
    pub(super) fn reset(&mut self) {
        self.last_activity.clear();
        self.unassigned_since = None;
        self.suspected.clear();
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
        assert!(!detector.is_silent(STALL_AFTER, start + STALL_AFTER / 2));
        assert!(detector.is_silent(STALL_AFTER, late));
        assert_eq!(detector.take_stalled(&ends(8), |_| 4, STALL_AFTER, late), None, "it may have arrived just now");
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
        // Each check is repeated, because the first one only suspects a partition.
        let assert_none = |detector: &mut StallDetector, checkpoint: i64, now: Instant, reason: &str| {
            for _ in 0..2 {
                assert_eq!(detector.take_stalled(&ends, |_| checkpoint, STALL_AFTER, now), None, "{reason}");
            }
        };
        assert_none(&mut detector, 9, late, "everything is consumed");
        detector.record_activity(partition(0), 5, late);
        detector.record_activity(partition(1), 7, late);
        assert_none(&mut detector, 5, late, "a record arrived just now");
        detector.set_assignment(&[partition(0)], late);
        assert_none(&mut detector, 5, late + STALL_AFTER, "not assigned any more");
    }

    #[test]
    fn a_consumer_without_partitions_is_silent_once_in_each_period() {
        let (mut detector, start) = (StallDetector::default(), Instant::now());
        detector.set_assignment(&[], start);
        assert!(!detector.is_silent(STALL_AFTER, start));
        let late = start + STALL_AFTER;
        detector.set_assignment(&[], late);
        assert!(detector.is_silent(STALL_AFTER, late));
        assert!(detector.take_unassigned(STALL_AFTER, late));
        assert!(!detector.is_silent(STALL_AFTER, late) && !detector.take_unassigned(STALL_AFTER, late), "just checked");
        detector.set_assignment(&[partition(0)], late);
        assert!(!detector.take_unassigned(STALL_AFTER, late + STALL_AFTER), "it has a partition");
    }

    #[test]
    fn a_partition_that_delivers_records_between_two_checks_is_not_stalled() {
        let (mut detector, start) = (StallDetector::default(), Instant::now());
        let ends = |end| EndOffsets::from([(partition(0), end)]);
        detector.record_activity(partition(0), 7, start);
        let late = start + STALL_AFTER;
        assert_eq!(detector.take_stalled(&ends(8), |_| 0, STALL_AFTER, late), None);
        detector.record_activity(partition(0), 8, late);
        let second_check = late + STALL_AFTER;
        assert_eq!(detector.take_stalled(&ends(9), |_| 0, STALL_AFTER, second_check), None, "it has gone on");
        assert!(detector.take_stalled(&ends(9), |_| 0, STALL_AFTER, second_check).is_some());
    }
}
