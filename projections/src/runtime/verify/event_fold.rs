//! Applies events to the folds of the scopes of one pass.

use domain::{envelope::RawEnvelope, log_reader::LogRange};

use super::{
    VerifyError,
    event_spill::{EventSpill, SpilledEvents},
    scope_comparison::ScopeComparison,
};
use crate::runtime::{AnyProjection, ProjectionRuntime, consumer::PartitionCounts};

/// The folds of one pass, and where their events come from.
pub(super) struct EventFold<'a> {
    pub(super) runtime: &'a ProjectionRuntime,
    pub(super) projection: &'a dyn AnyProjection,
    pub(super) partitions: &'a PartitionCounts,
    pub(super) comparisons: &'a mut [ScopeComparison],
}

impl EventFold<'_> {
    /// Folds the log from the start on, up to the checkpoints of the scopes, and returns the number of events read. With
    /// `spill`, also writes all events up to `end` for the further passes.
    pub(super) async fn fold_log(
        &mut self,
        end: u64,
        spill: &mut Option<EventSpill>,
        progress: impl Fn(u64),
    ) -> Result<u64, VerifyError> {
        let to = if spill.is_some() { end.max(self.highest_checkpoint()) } else { self.highest_checkpoint() };
        let mut reader = self.runtime.log.read_batches(self.log_range(0, to)).await?;
        let mut count = 0;
        while let Some(batch) = reader.read_next_batch().await? {
            count += batch.events.len() as u64;
            self.apply_events(&batch.events).await;
            if let Some(writer) = spill.take() {
                let mut events = batch.events;
                events.retain(|event| event.position <= end);
                *spill = Some(writer.write_events(events).await?);
            }
            progress(batch.watermark);
        }
        Ok(count)
    }

    /// Folds the spilled events of this pass, then those that the log got after `end`. Returns the spilled events, to be
    /// read again, and the number of events read from the log.
    pub(super) async fn fold_spilled(
        &mut self,
        mut spilled: SpilledEvents,
        end: u64,
    ) -> Result<(SpilledEvents, u64), VerifyError> {
        loop {
            let (rest, events) = spilled.read_events().await?;
            spilled = rest;
            if events.is_empty() {
                break;
            }
            self.apply_events(&events).await;
        }
        let spilled = spilled.rewind().await?;
        let to = self.highest_checkpoint();
        if to <= end {
            return Ok((spilled, 0));
        }
        let mut reader = self.runtime.log.read_batches(self.log_range(end, to)).await?;
        let mut count = 0;
        while let Some(batch) = reader.read_next_batch().await? {
            count += batch.events.len() as u64;
            self.apply_events(&batch.events).await;
        }
        Ok((spilled, count))
    }

    fn highest_checkpoint(&self) -> u64 {
        let checkpoints = self.comparisons.iter().map(|comparison| comparison.applied.checkpoint.highest_position());
        checkpoints.max().unwrap_or_default()
    }

    fn log_range(&self, after: u64, to: u64) -> LogRange {
        LogRange {
            contexts: self.projection.subscribed_contexts().to_vec(),
            aggregate_id: None,
            after,
            to,
            batch_events: self.projection.batch_limits().batch_events,
            batch_bytes: self.runtime.config.batch_bytes,
        }
    }

    async fn apply_events(&mut self, events: &[RawEnvelope]) {
        for event in events {
            let Some(partition) = self.runtime.find_topic_partition(event, self.partitions) else { continue };
            for comparison in &mut *self.comparisons {
                comparison.apply_event(event, &partition);
            }
        }
        // Folding has no await point: this lets other tasks of this thread run between batches.
        tokio::task::yield_now().await;
    }
}
