//! Finds the events that a store refuses, and applies all others.
//!
//! A batch is bisected by stream until one stream is left, which is applied event by event: streams do not depend on
//! each other, and within one the order is preserved.

use std::collections::BTreeMap;

use domain::envelope::RawEnvelope;

use super::{Worker, batch_error::BatchError};
use crate::{
    error::BoxedError,
    runtime::{ProjectedChanges, ProjectionError, dead_letter::StreamKey},
};

/// An event that the store refuses, by its index in the batch.
pub(super) struct RefusedEvent {
    pub(super) index: usize,
    pub(super) reason: ProjectionError,
}

/// Indices of the batch, grouped by stream.
type StreamIndices = Vec<Vec<usize>>;

impl Worker {
    /// Applies events. Returns, for each stream with refused events, the first of them.
    pub(super) async fn apply_or_isolate(
        &self,
        projected: &ProjectedChanges,
        events: &[&RawEnvelope],
    ) -> Result<Vec<RefusedEvent>, BatchError> {
        match self.apply_projected(projected, events).await {
            Ok(()) => Ok(vec![]),
            Err(ApplyFailure::Batch(error)) => Err(error),
            Err(ApplyFailure::Refused(reason)) if events.len() == 1 => Ok(vec![RefusedEvent { index: 0, reason }]),
            Err(ApplyFailure::Refused(_)) => self.isolate_refused(events).await,
        }
    }

    async fn isolate_refused(&self, events: &[&RawEnvelope]) -> Result<Vec<RefusedEvent>, BatchError> {
        let mut refused = vec![];
        let mut pending: Vec<StreamIndices> = vec![group_by_stream(events)];
        while let Some(mut streams) = pending.pop() {
            if streams.len() == 1 {
                refused.extend(self.apply_one_by_one(events, &streams[0]).await?);
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
        Ok(refused)
    }

    async fn apply_one_by_one(
        &self,
        events: &[&RawEnvelope],
        stream: &[usize],
    ) -> Result<Option<RefusedEvent>, BatchError> {
        for index in stream {
            if let Some(reason) = self.try_apply(&[events[*index]]).await? {
                return Ok(Some(RefusedEvent { index: *index, reason }));
            }
        }
        Ok(None)
    }

    /// Applies events together and confirms the last of them. Returns the reason when the store refuses these events
    /// while it accepts others.
    async fn try_apply(&self, events: &[&RawEnvelope]) -> Result<Option<ProjectionError>, BatchError> {
        let projected = self.projection.project(events);
        match self.apply_projected(&projected, events).await {
            Ok(()) => Ok(None),
            Err(ApplyFailure::Batch(error)) => Err(error),
            Err(ApplyFailure::Refused(reason)) => Ok(Some(reason)),
        }
    }

    async fn apply_projected(&self, projected: &ProjectedChanges, events: &[&RawEnvelope]) -> Result<(), ApplyFailure> {
        if projected.is_empty {
            return Ok(());
        }
        match self.projection.apply(projected).await {
            Ok(()) => {}
            Err(ProjectionError::Unavailable(source)) => return Err(ApplyFailure::Batch(BatchError::Store(source))),
            Err(reason @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                return Err(ApplyFailure::Refused(reason));
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

enum ApplyFailure {
    Batch(BatchError),
    Refused(ProjectionError),
}

/// The indices of each stream's events, in the order of the batch.
fn group_by_stream(events: &[&RawEnvelope]) -> StreamIndices {
    let mut streams = BTreeMap::<StreamKey, Vec<usize>>::new();
    for (index, event) in events.iter().enumerate() {
        streams.entry(StreamKey::from_event(event)).or_default().push(index);
    }
    streams.into_values().collect()
}
