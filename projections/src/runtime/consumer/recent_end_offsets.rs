//! The end offsets of the latest measurement of the lag, so that the workers' checks for stalled partitions need no
//! further Kafka clients.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use super::{EndOffsets, stall_detector::TopicPartition};

/// The newest end offset of each partition that this process has fetched, and when. Partitions grow, so that with older
/// ends a stall is found later, but none is found that is not there. After a topic was created again, or has lost
/// records, a worker may rejoin its group once without need.
#[derive(Debug, Default)]
pub(in crate::runtime) struct RecentEndOffsets {
    latest: Mutex<BTreeMap<TopicPartition, (i64, Instant)>>,
}

impl RecentEndOffsets {
    /// Records the result of a request at the time `fetched_at`; it replaces everything known about the same topics.
    pub(in crate::runtime) fn record(&self, ends: &EndOffsets, fetched_at: Instant) {
        let topics: BTreeSet<&String> = ends.keys().map(|(topic, _)| topic).collect();
        let recorded = ends.iter().map(|(partition, end)| (partition.clone(), (*end, fetched_at)));
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.retain(|(topic, _), _| !topics.contains(topic));
        latest.extend(recorded);
    }

    /// The offsets of these topics that were fetched after `since`; `None` if some are older, or without one of the topics.
    pub(super) fn find(&self, topics: &[String], since: Instant) -> Option<EndOffsets> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let of_topics = || latest.iter().filter(|((topic, _), _)| topics.contains(topic));
        let has_topic = |topic: &String| of_topics().any(|((found, _), _)| found == topic);
        let is_complete = topics.iter().all(has_topic) && of_topics().all(|(_, (_, at))| *at >= since);
        is_complete.then(|| of_topics().map(|(partition, (end, _))| (partition.clone(), *end)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ends(topic: &str, end: i64) -> EndOffsets {
        EndOffsets::from([((topic.to_owned(), 0), end)])
    }

    #[test]
    fn recent_offsets_of_all_requested_topics_are_found() {
        let (recent, first) = (RecentEndOffsets::default(), Instant::now());
        let second = first + Duration::from_secs(1);
        let topics = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(recent.find(&topics(&["one"]), first), None);
        recent.record(&ends("one", 5), first);
        recent.record(&ends("two", 7), second);
        assert_eq!(recent.find(&topics(&["one"]), first), Some(ends("one", 5)));
        assert_eq!(recent.find(&topics(&["one", "three"]), first), None);
        assert_eq!(recent.find(&topics(&["one", "two"]), second), None);
        assert_eq!(recent.find(&topics(&["two"]), second), Some(ends("two", 7)));
        // The topic was created again with fewer partitions.
        recent.record(&EndOffsets::from([(("three".to_owned(), 0), 1), (("three".to_owned(), 1), 1)]), first);
        recent.record(&ends("three", 2), second);
        assert_eq!(recent.find(&topics(&["three"]), second), Some(ends("three", 2)));
    }
}
