//! What the stages of a worker share about its partitions: which are assigned, how many batches are in flight, and which
//! offsets are applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::TopicPartitionList;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::batch_pause::BatchPause;

/// The offset after the last applied record, by topic and partition.
pub(in crate::runtime) type NextOffsets = BTreeMap<(String, i32), i64>;

/// The assigned partitions of a worker, with the batches and offsets that depend on them.
pub(in crate::runtime) struct PartitionAssignment {
    state: Mutex<AssignmentState>,
    /// Grows with every change of the assignment.
    version: watch::Sender<u64>,
    /// One permit for each batch that may be in flight.
    permits: Arc<Semaphore>,
    /// Notified when the last batch in flight has ended.
    drained: Condvar,
    /// Notified when there is the first offset to commit.
    offsets_pending: Notify,
    /// By how long batches take.
    pause: BatchPause,
}

#[derive(Default)]
struct AssignmentState {
    partitions: BTreeMap<String, BTreeSet<i32>>,
    batches_in_flight: usize,
    /// The applied offsets of assigned partitions.
    applied: NextOffsets,
    /// The applied offsets that are not committed yet.
    pending: NextOffsets,
}

/// The right of a batch to be in flight; it ends when this is dropped.
pub(in crate::runtime) struct BatchSlot {
    assignment: Arc<PartitionAssignment>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for BatchSlot {
    fn drop(&mut self) {
        let mut state = self.assignment.state();
        state.batches_in_flight = state.batches_in_flight.saturating_sub(1);
        if state.batches_in_flight == 0 {
            self.assignment.drained.notify_all();
        }
    }
}

impl PartitionAssignment {
    /// Without partitions, for at most that many batches in flight.
    pub(in crate::runtime) fn new(batches_in_flight: usize) -> Self {
        Self {
            state: Mutex::default(),
            version: watch::Sender::new(1),
            permits: Arc::new(Semaphore::new(batches_in_flight.max(1))),
            drained: Condvar::new(),
            offsets_pending: Notify::new(),
            pause: BatchPause::default(),
        }
    }

    /// Grows with every change of the assigned partitions.
    pub(in crate::runtime) fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Waits until the assignment has another version than this one.
    pub(in crate::runtime) async fn wait_for_change(&self, version: u64) {
        // The sender lives as long as `self`.
        drop(self.version.subscribe().wait_for(|current| *current != version).await);
    }

    pub(in crate::runtime) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.state().partitions.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// Number of batches in flight.
    pub(in crate::runtime) fn batches_in_flight(&self) -> usize {
        self.state().batches_in_flight
    }

    /// Adds assigned partitions.
    pub(super) fn assign(&self, partitions: &TopicPartitionList) {
        let mut state = self.state();
        for element in partitions.elements() {
            state.partitions.entry(element.topic().to_owned()).or_default().insert(element.partition());
        }
        drop(state);
        self.version.send_modify(|version| *version += 1);
    }

    /// Removes revoked partitions, and waits until the batches in flight have ended: batches that are being written are
    /// completed, all others drop the records of these partitions. Returns the applied offsets of these partitions that
    /// are not committed; `None` when the batches have not ended within `max_wait`.
    ///
    /// Blocks the calling thread, which must be none of the runtime's.
    pub(super) fn revoke(&self, partitions: &TopicPartitionList, max_wait: Duration) -> Option<NextOffsets> {
        let mut state = self.state();
        for element in partitions.elements() {
            if let Some(of_topic) = state.partitions.get_mut(element.topic()) {
                of_topic.remove(&element.partition());
            }
        }
        drop(state);
        self.version.send_modify(|version| *version += 1);
        let is_busy = |state: &mut AssignmentState| state.batches_in_flight > 0;
        let waited = self.drained.wait_timeout_while(self.state(), max_wait, is_busy);
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut offsets = NextOffsets::new();
        for element in partitions.elements() {
            let partition = (element.topic().to_owned(), element.partition());
            state.applied.remove(&partition);
            offsets.extend(state.pending.remove_entry(&partition));
        }
        (!timeout.timed_out()).then_some(offsets)
    }

    /// Waits until one more batch may be in flight.
    pub(super) async fn wait_for_permit(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        Arc::clone(&self.permits).acquire_owned().await.ok()
    }

    /// Whether one more batch may be in flight.
    pub(super) fn has_free_slot(&self) -> bool {
        self.permits.available_permits() > 0
    }

    /// Counts a batch as in flight until the slot is dropped. Not part of waiting for the permit: a revocation, when no
    /// task takes the permit, would wait for it.
    pub(super) fn open_slot(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> BatchSlot {
        self.state().batches_in_flight += 1;
        BatchSlot { assignment: Arc::clone(self), _permit: permit }
    }

    /// Records the offsets after an applied batch, so that the consumer commits them. Offsets of partitions that are no
    /// longer assigned are left out: their new owner may have committed higher ones.
    pub(in crate::runtime) fn record_applied(&self, next_offsets: NextOffsets) {
        let mut state = self.state();
        let was_empty = state.pending.is_empty();
        for (partition, offset) in next_offsets {
            if state.partitions.get(&partition.0).is_some_and(|assigned| assigned.contains(&partition.1)) {
                state.applied.insert(partition.clone(), offset);
                state.pending.insert(partition, offset);
            }
        }
        let is_first = was_empty && !state.pending.is_empty();
        drop(state);
        if is_first {
            self.offsets_pending.notify_one();
        }
    }

    /// Records how long a batch took from the beginning of its write until its checkpoint was saved.
    pub(in crate::runtime) fn record_write_time(&self, duration: Duration) {
        self.pause.record_batch(duration);
    }

    /// The shortest time from one batch that is not full to the next: the linger, or longer where batches take long.
    pub(super) fn pause_after_batch(&self, linger: Duration) -> Duration {
        self.pause.after_batch(linger)
    }

    pub(super) fn has_pending_offsets(&self) -> bool {
        !self.state().pending.is_empty()
    }

    /// Waits until there are offsets to commit. May return although there are none.
    pub(super) async fn wait_for_pending_offsets(&self) {
        self.offsets_pending.notified().await;
    }

    pub(super) fn take_pending_offsets(&self) -> NextOffsets {
        std::mem::take(&mut self.state().pending)
    }

    /// The applied offsets of all assigned partitions.
    pub(super) fn applied_offsets(&self) -> NextOffsets {
        self.state().applied.clone()
    }

    fn state(&self) -> MutexGuard<'_, AssignmentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partitions(numbers: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for number in numbers {
            list.add_partition("t", *number);
        }
        list
    }

    async fn open_slot(assignment: &Arc<PartitionAssignment>) -> BatchSlot {
        assignment.open_slot(assignment.wait_for_permit().await.unwrap())
    }

    fn offsets(entries: &[(i32, i64)]) -> NextOffsets {
        entries.iter().map(|(partition, offset)| (("t".to_owned(), *partition), *offset)).collect()
    }

    #[tokio::test]
    async fn a_revocation_waits_for_the_batch_in_flight_and_returns_its_offsets() {
        let assignment = Arc::new(PartitionAssignment::new(2));
        assignment.assign(&partitions(&[0, 1]));
        let (version, slot) = (assignment.version(), open_slot(&assignment).await);
        let revoking = tokio::task::spawn_blocking({
            let assignment = Arc::clone(&assignment);
            move || assignment.revoke(&partitions(&[1]), Duration::from_mins(1))
        });
        // The worker learns of it while the revocation waits.
        assignment.wait_for_change(version).await;
        assert!(assignment.contains("t", 0) && !assignment.contains("t", 1));
        assert!(!revoking.is_finished());
        drop(slot);
        assert_eq!(revoking.await.unwrap(), Some(NextOffsets::new()));
    }

    #[test]
    fn batches_that_take_long_are_followed_by_longer_pauses() {
        let (assignment, linger) = (PartitionAssignment::new(1), Duration::from_millis(2));
        assert_eq!(assignment.pause_after_batch(linger), linger);
        assignment.record_write_time(Duration::from_millis(40));
        assert!(assignment.pause_after_batch(linger) > linger);
    }

    #[tokio::test]
    async fn offsets_of_a_revoked_partition_are_committed_once_and_not_recorded_later() {
        let assignment = Arc::new(PartitionAssignment::new(1));
        assignment.assign(&partitions(&[0, 1]));
        assignment.record_applied(offsets(&[(0, 5), (1, 7)]));
        let revoked = tokio::task::spawn_blocking({
            let assignment = Arc::clone(&assignment);
            move || assignment.revoke(&partitions(&[1]), Duration::from_mins(1))
        });
        assert_eq!(revoked.await.unwrap(), Some(offsets(&[(1, 7)])));
        assignment.record_applied(offsets(&[(0, 6), (1, 8)]));
        assert_eq!(assignment.take_pending_offsets(), offsets(&[(0, 6)]));
        assert_eq!(
            (assignment.take_pending_offsets(), assignment.applied_offsets()),
            (offsets(&[]), offsets(&[(0, 6)]))
        );
    }

    #[tokio::test]
    async fn a_revocation_does_not_wait_for_ever() {
        let assignment = Arc::new(PartitionAssignment::new(1));
        assignment.assign(&partitions(&[0]));
        let slot = open_slot(&assignment).await;
        let revoked = tokio::task::spawn_blocking({
            let assignment = Arc::clone(&assignment);
            move || assignment.revoke(&partitions(&[0]), Duration::from_millis(1))
        });
        assert_eq!(revoked.await.unwrap(), None);
        drop(slot);
    }
}
