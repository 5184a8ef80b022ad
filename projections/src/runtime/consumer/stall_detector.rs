//! Partitions that bring nothing.
//!
//! The client library asks for the committed offset of a partition when it is assigned. Some failures of that one request
//! it never mends: the partition stays assigned and is never fetched. From outside that looks like a partition on which
//! nothing happens, unless the broker is asked where it ends.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::EndOffsets;

/// A topic and a partition.
pub(in crate::runtime) type TopicPartition = (String, i32);

/// A partition that has records and brings none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::runtime) struct StalledPartition {
    pub(in crate::runtime) topic_partition: TopicPartition,
    /// The next record that the worker wants.
    pub(in crate::runtime) next: i64,
    /// The offset behind the last one.
    pub(in crate::runtime) end: i64,
}

/// Since when partitions have been silent, and what was done about it.
#[derive(Debug, Default)]
pub(in crate::runtime) struct StallDetector {
    /// The next offset after what came last, and when that came, or when the partition was first seen assigned.
    last_activity: BTreeMap<TopicPartition, (i64, Instant)>,
    /// Where partitions ended for which the group was joined anew: once is enough for each end.
    handled_ends: BTreeMap<TopicPartition, i64>,
}

impl StallDetector {
    /// Something came.
    pub(super) fn record_activity(&mut self, place: TopicPartition, next: i64, now: Instant) {
        self.last_activity.insert(place, (next, now));
    }

    /// These partitions are assigned now; others are somebody else's.
    pub(super) fn set_assignment(&mut self, places: &[TopicPartition], now: Instant) {
        self.last_activity.retain(|place, _| places.contains(place));
        for place in places {
            self.last_activity.entry(place.clone()).or_insert((0, now));
        }
    }

    /// Whether some partition has brought nothing for that long.
    pub(super) fn has_silent_partition(&self, patience: Duration, now: Instant) -> bool {
        self.last_activity.values().any(|(_, at)| now.duration_since(*at) >= patience)
    }

    /// The first partition that should have brought something; it is not named again before it ends elsewhere.
    /// `known` says where a partition goes on from which nothing has come yet.
    pub(super) fn take_stalled(
        &mut self,
        ends: &EndOffsets,
        known: impl Fn(&TopicPartition) -> i64,
        patience: Duration,
        now: Instant,
    ) -> Option<StalledPartition> {
        let found = self.last_activity.iter().find_map(|(place, (next, at))| {
            let (end, next) = (*ends.get(place)?, (*next).max(known(place)));
            let is_new = self.handled_ends.get(place) != Some(&end);
            (end > next && is_new && now.duration_since(*at) >= patience).then(|| StalledPartition {
                topic_partition: place.clone(),
                next,
                end,
            })
        })?;
        self.handled_ends.insert(found.topic_partition.clone(), found.end);
        Some(found)
    }

    /// The group is joined anew: everybody has time again.
    pub(super) fn reset(&mut self) {
        self.last_activity.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn place(partition: i32) -> TopicPartition {
        ("t".to_owned(), partition)
    }

    #[test]
    fn a_silent_partition_with_records_is_named_once_for_each_end() {
        let (mut silence, start) = (StallDetector::default(), Instant::now());
        let ends = |end| EndOffsets::from([(place(0), 5), (place(1), end)]);
        silence.set_assignment(&[place(0), place(1)], start);
        silence.record_activity(place(0), 5, start);
        let late = start + PATIENCE;
        assert!(!silence.has_silent_partition(PATIENCE, start + PATIENCE / 2));
        assert!(silence.has_silent_partition(PATIENCE, late));
        let stalled = silence.take_stalled(&ends(9), |_| 4, PATIENCE, late);
        assert_eq!(stalled, Some(StalledPartition { topic_partition: place(1), next: 4, end: 9 }));
        assert_eq!(silence.take_stalled(&ends(9), |_| 4, PATIENCE, late), None, "the same end again");
        assert!(silence.take_stalled(&ends(10), |_| 4, PATIENCE, late).is_some());
    }

    #[test]
    fn a_partition_that_has_nothing_more_or_is_not_ours_is_left_alone() {
        let (mut silence, start) = (StallDetector::default(), Instant::now());
        let (ends, late) = (EndOffsets::from([(place(0), 5), (place(1), 9)]), start + PATIENCE);
        silence.set_assignment(&[place(0), place(1)], start);
        assert_eq!(silence.take_stalled(&ends, |_| 9, PATIENCE, late), None, "all of it is taken in");
        silence.record_activity(place(1), 7, late);
        assert_eq!(silence.take_stalled(&ends, |_| 5, PATIENCE, late), None, "something came just now");
        silence.set_assignment(&[place(0)], late);
        assert_eq!(silence.take_stalled(&ends, |_| 5, PATIENCE, late + PATIENCE), None, "somebody else has it");
    }
}
