//! Finds the events that a store rejects, and applies all others.
//!
//! A batch is bisected by stream until one stream is left, which is applied event by event: streams do not depend on
//! each other, and within one the order is preserved.

use std::collections::BTreeMap;

use domain::{envelope::RawEnvelope, stream_id::StreamId};
use telemetry::EventSpans;

use super::{Worker, batch_error::BatchError};
use crate::{
    error::BoxedError,
    runtime::{ProjectedChanges, ProjectionError},
};

/// An event that the store rejects, by its index in the batch.
pub(super) struct RejectedEvent {
    pub(super) index: usize,
    pub(super) reason: ProjectionError,
}

/// Indices of the batch, grouped by stream.
type StreamIndices = Vec<Vec<usize>>;

impl Worker {
    /// Applies events. Returns, for each stream with rejected events, the first of them.
    pub(super) async fn apply_or_isolate(
        &self,
        projected: &ProjectedChanges,
        events: &[&RawEnvelope],
    ) -> Result<Vec<RejectedEvent>, BatchError> {
        match self.apply_projected(projected, events).await {
            Ok(()) => Ok(vec![]),
            Err(ApplyFailure::Batch(error)) => Err(error),
            Err(ApplyFailure::Rejected(reason)) if events.len() == 1 => Ok(vec![RejectedEvent { index: 0, reason }]),
            Err(ApplyFailure::Rejected(_)) => self.isolate_rejected(events).await,
        }
    }

    async fn isolate_rejected(&self, events: &[&RawEnvelope]) -> Result<Vec<RejectedEvent>, BatchError> {
        let mut rejected = vec![];
        let mut pending: Vec<StreamIndices> = vec![group_by_stream(events)];
        while let Some(mut streams) = pending.pop() {
            if streams.len() == 1 {
                rejected.extend(self.apply_one_by_one(events, &streams[0]).await?);
                continue;
            }
            let second_half = streams.split_off(streams.len() / 2);
            for half in [streams, second_half] {
                let half_events: Vec<_> = half.iter().flatten().map(|index| events[*index]).collect();
                if self.try_apply(&half_events).await?.is_some() {
                    pending.push(half);
                }
            }
        }
        Ok(rejected)
    }

    async fn apply_one_by_one(
        &self,
        events: &[&RawEnvelope],
        stream: &[usize],
    ) -> Result<Option<RejectedEvent>, BatchError> {
        for index in stream {
            if let Some(reason) = self.try_apply(&[events[*index]]).await? {
                return Ok(Some(RejectedEvent { index: *index, reason }));
            }
        }
        Ok(None)
    }

    /// Applies events together and confirms the last of them. Returns the reason when the store rejects these events
    /// while it accepts others.
    async fn try_apply(&self, events: &[&RawEnvelope]) -> Result<Option<ProjectionError>, BatchError> {
        let projected = self.projection.project(events);
        match self.apply_projected(&projected, events).await {
            Ok(()) => Ok(None),
            Err(ApplyFailure::Batch(error)) => Err(error),
            Err(ApplyFailure::Rejected(reason)) => Ok(Some(reason)),
        }
    }

    /// Applies changes and confirms the last of them.
    pub(super) async fn apply_projected(
        &self,
        projected: &ProjectedChanges,
        events: &[&RawEnvelope],
    ) -> Result<(), ApplyFailure> {
        if projected.is_empty {
            return Ok(());
        }
        let traceparents = events.iter().map(|event| event.metadata.traceparent.as_str());
        let spans = EventSpans::start_writes(self.projection.name(), self.projection.store(), traceparents);
        let outcome = self.write_projected(projected, events).await;
        match &outcome {
            Ok(()) => {}
            Err(ApplyFailure::Batch(error)) => spans.record_failure(error),
            Err(ApplyFailure::Rejected(reason)) => spans.record_failure(reason),
        }
        outcome
    }

    async fn write_projected(&self, projected: &ProjectedChanges, events: &[&RawEnvelope]) -> Result<(), ApplyFailure> {
        match self.projection.apply(projected).await {
            Ok(()) => {}
            Err(ProjectionError::Unavailable(source)) => return Err(ApplyFailure::Batch(BatchError::Store(source))),
            Err(reason @ (ProjectionError::Rejected(_) | ProjectionError::Poison(_))) => {
                return Err(ApplyFailure::Rejected(reason));
            }
        }
        let is_applied = self.projection.is_applied(projected).await;
        if is_applied.map_err(|error| ApplyFailure::Batch(BatchError::Store(BoxedError::from(error))))? {
            return Ok(());
        }
        let position = events.last().map_or(0, |event| event.position);
        Err(ApplyFailure::Batch(BatchError::Unconfirmed { events: events.len(), position }))
    }
}

/// Why changes were not applied.
pub(super) enum ApplyFailure {
    Batch(BatchError),
    Rejected(ProjectionError),
}

/// The indices of each stream's events, in the order of the batch.
fn group_by_stream(events: &[&RawEnvelope]) -> StreamIndices {
    let mut streams = BTreeMap::<StreamId, Vec<usize>>::new();
    for (index, event) in events.iter().enumerate() {
        streams.entry(StreamId::from_event(event)).or_default().push(index);
    }
    streams.into_values().collect()
}
