//! The batch that a consumer forms while the batches before it are prepared and written.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::partition_assignment::{BatchSlot, PartitionAssignment};
use crate::runtime::consumed_record::ConsumedRecord;

/// The shortest time from one batch to the next if the next has only beacons. While events arrive in some partitions, the relay
/// writes beacons to the others, two at a time, and each batch costs a transaction of its checkpoint.
const BEACON_PAUSE: Duration = Duration::from_millis(250);

/// How long the first beacon after a silence waits for those of the other partitions, which the relay writes together.
const BEACON_LINGER: Duration = Duration::from_millis(20);

/// Records that a consumer hands over together, at least one.
pub(in crate::runtime) struct FetchedBatch {
    pub(in crate::runtime) records: Vec<ConsumedRecord>,
    /// The version of the assignment when it was handed over: not older than the version that its records were consumed
    /// with.
    pub(in crate::runtime) assignment_version: u64,
    /// Dropped with the batch.
    pub(in crate::runtime) slot: BatchSlot,
}

/// When a batch is full.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormingLimits {
    pub(super) events: usize,
    pub(super) bytes: usize,
}

/// Collects records until they are handed over.
pub(super) struct FormingBatch {
    limits: FormingLimits,
    records: Vec<ConsumedRecord>,
    bytes: usize,
    /// Records that arrived after the batch was full.
    overflow: VecDeque<ConsumedRecord>,
    /// When the batch may be handed over although it is not full.
    due_at: Instant,
    /// The same while it has only beacons.
    beacons_due_at: Instant,
    /// Whether one of the records is more than a beacon.
    has_event: bool,
    full_since: Option<Instant>,
}

impl FormingBatch {
    pub(super) fn new(limits: FormingLimits) -> Self {
        let (records, overflow, now) = (vec![], VecDeque::new(), Instant::now());
        let (due_at, beacons_due_at) = (now, now);
        Self { limits, records, bytes: 0, overflow, due_at, beacons_due_at, has_event: false, full_since: None }
    }

    /// Since when it has been full; `None` while it has room.
    pub(super) fn full_since(&self) -> Option<Instant> {
        self.full_since
    }

    /// When it may be handed over; `None` while it is empty.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let due_at = if self.has_event { self.due_at } else { self.beacons_due_at };
        (!self.records.is_empty()).then_some(self.full_since.map_or(due_at, |since| since.min(due_at)))
    }

    pub(super) fn push(&mut self, record: ConsumedRecord) {
        if self.full_since.is_some() {
            self.overflow.push_back(record);
            return;
        }
        if self.records.is_empty() {
            self.beacons_due_at = self.beacons_due_at.max(Instant::now() + BEACON_LINGER);
        }
        self.bytes += record.bytes;
        self.has_event |= record.event.is_some();
        self.records.push(record);
        if self.records.len() >= self.limits.events || self.bytes >= self.limits.bytes {
            self.full_since = Some(Instant::now());
        }
    }

    /// Drops records of partitions that are no longer assigned.
    pub(super) fn drop_revoked(&mut self, assignment: &PartitionAssignment) {
        let is_assigned = |record: &ConsumedRecord| assignment.contains(&record.topic, record.partition);
        let records = std::mem::take(&mut self.records);
        let overflow = std::mem::take(&mut self.overflow);
        (self.bytes, self.has_event, self.full_since) = (0, false, None);
        for record in records.into_iter().chain(overflow) {
            if is_assigned(&record) {
                self.push(record);
            }
        }
    }

    /// Takes the batch, and begins the next one with the records that had no room. Unless it becomes full, the next one is due
    /// after `pause`, or later while it has only beacons. The first event after a longer silence does not wait.
    pub(super) fn take(&mut self, pause: Duration) -> Vec<ConsumedRecord> {
        // The next batch is probably as long. Records are large: a batch that grows would copy them.
        let next = Vec::with_capacity(self.records.len());
        let records = std::mem::replace(&mut self.records, next);
        (self.bytes, self.has_event, self.full_since) = (0, false, None);
        let now = Instant::now();
        (self.due_at, self.beacons_due_at) = (now + pause, now + pause.max(BEACON_PAUSE));
        while self.full_since.is_none()
            && let Some(record) = self.overflow.pop_front()
        {
            self.push(record);
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use domain::envelope::RawEnvelope;

    use super::*;
    use crate::fixture::{discovered, recorded_event};

    fn record(offset: i64) -> ConsumedRecord {
        let event: RawEnvelope = recorded_event(1, &discovered("a"));
        let mut record = ConsumedRecord::from_log("t".to_owned(), 0, event);
        record.offset = offset;
        record
    }

    fn beacon(offset: i64) -> ConsumedRecord {
        let mut beacon = record(offset);
        beacon.event = None;
        beacon
    }

    fn offsets(records: &[ConsumedRecord]) -> Vec<i64> {
        records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn the_first_record_is_due_at_once_and_the_next_ones_after_the_pause() {
        let (pause, created_at) = (Duration::from_mins(1), Instant::now());
        let mut forming = FormingBatch::new(FormingLimits { events: 2, bytes: usize::MAX });
        assert_eq!(forming.due_at(), None);
        forming.push(record(1));
        assert!(forming.due_at().unwrap() <= Instant::now());
        assert_eq!(offsets(&forming.take(pause)), [1]);
        forming.push(record(2));
        let taken_at = forming.due_at().unwrap() - pause;
        assert!(taken_at >= created_at && taken_at <= Instant::now());
        forming.push(record(3));
        assert!(forming.due_at().unwrap() <= Instant::now(), "it is full");
    }

    #[test]
    fn beacons_are_due_later_unless_an_event_comes() {
        let (pause, created_at) = (Duration::from_millis(2), Instant::now());
        let mut forming = FormingBatch::new(FormingLimits { events: 3, bytes: usize::MAX });
        forming.push(beacon(1));
        let due_at = forming.due_at().unwrap();
        assert!(due_at >= created_at + BEACON_LINGER && due_at <= Instant::now() + BEACON_LINGER);
        assert_eq!(offsets(&forming.take(pause)), [1]);
        forming.push(beacon(2));
        assert!(forming.due_at().unwrap() >= created_at + BEACON_PAUSE);
        forming.push(record(3));
        assert!(forming.due_at().unwrap() <= Instant::now() + pause);
        forming.take(pause);
        for offset in 4..=6 {
            forming.push(beacon(offset));
        }
        assert!(forming.due_at().unwrap() <= Instant::now(), "it is full");
    }

    #[test]
    fn records_beyond_the_limit_are_the_next_batch() {
        let mut forming = FormingBatch::new(FormingLimits { events: 2, bytes: usize::MAX });
        for offset in 1..=5 {
            forming.push(record(offset));
        }
        let taken: Vec<_> = (0..3).map(|_| offsets(&forming.take(Duration::ZERO))).collect();
        assert_eq!(taken, [vec![1, 2], vec![3, 4], vec![5]]);
        assert!(forming.due_at().is_none() && forming.full_since().is_none());
    }
}
