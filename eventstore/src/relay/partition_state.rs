//! The relay's view of one partition.

use domain::envelope::{PartitionProgress, RawEnvelope};
use uuid::Uuid;

/// The end of a partition as the relay has written it, acknowledged or not.
#[derive(Debug, Clone)]
pub(super) struct PartitionState {
    pub(super) end: PartitionProgress,
    incarnation: Uuid,
}

impl PartitionState {
    /// Creates the state of a partition with this end; `None` is an empty partition.
    pub(super) fn new(end: Option<PartitionProgress>, incarnation: Uuid) -> Self {
        Self { end: end.unwrap_or_default(), incarnation }
    }

    /// Whether the partition is complete up to `position`. Positions only grow there, so each of its events at or
    /// below the watermark is on it already.
    pub(super) fn contains(&self, position: u64) -> bool {
        position <= self.end.watermark
    }

    /// The ordinal of the next event.
    pub(super) fn next_ordinal(&self) -> u64 {
        self.end.ordinal.unwrap_or_default() + 1
    }

    /// Updates the end after an event was handed to Kafka.
    pub(super) fn advance_to_event(&mut self, event: &RawEnvelope, ordinal: u64) {
        self.end = PartitionProgress {
            incarnation: Some(self.incarnation),
            ordinal: Some(ordinal),
            last_event: Some((event.position, event.event_id)),
            watermark: event.position,
        };
    }

    /// Moves the watermark and returns the new end, which a beacon publishes.
    pub(super) fn advance_watermark(&mut self, watermark: u64) -> &PartitionProgress {
        self.end.watermark = watermark;
        self.end.incarnation = Some(self.incarnation);
        self.end.ordinal = Some(self.end.ordinal.unwrap_or_default());
        &self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_contains_its_events_up_to_its_watermark() {
        let end = PartitionProgress { watermark: 40, ordinal: Some(7), ..PartitionProgress::default() };
        let mut partition = PartitionState::new(Some(end), Uuid::nil());
        assert!(partition.contains(40) && !partition.contains(41));
        assert_eq!(partition.next_ordinal(), 8);
        assert_eq!(partition.advance_watermark(55).ordinal, Some(7));
        assert!(partition.contains(55));
    }
}
