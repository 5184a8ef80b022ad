//! Finds the events that a store refuses, and gets everything else into it.
//!
//! A batch is halved by streams until one stream is left, and that one is written event by event: streams do not depend
//! on each other, and within one the order stays.

use std::collections::BTreeMap;

use domain::envelope::RawRecorded;

use super::{Worker, setback::Setback};
use crate::{
    error::Source,
    runtime::{Projected, ProjectionError, dead_letter::StreamKey},
};

/// An event that the store refuses, by its place in the batch.
pub(super) struct Culprit {
    pub(super) index: usize,
    pub(super) reason: ProjectionError,
}

/// Places in the batch, of one stream each.
type Streams = Vec<Vec<usize>>;

impl Worker {
    /// Applies events; answers with those that the store refuses, of each stream the first.
    pub(super) async fn apply_all(
        &self,
        projected: &Projected,
        events: &[&RawRecorded],
    ) -> Result<Vec<Culprit>, Setback> {
        match self.apply_projected(projected, events).await {
            Ok(()) => Ok(vec![]),
            Err(Failure::Setback(setback)) => Err(setback),
            Err(Failure::NotThese(reason)) if events.len() == 1 => Ok(vec![Culprit { index: 0, reason }]),
            Err(Failure::NotThese(_)) => self.isolate(events).await,
        }
    }

    async fn isolate(&self, events: &[&RawRecorded]) -> Result<Vec<Culprit>, Setback> {
        let mut culprits = vec![];
        let mut waiting: Vec<Streams> = vec![streams(events)];
        while let Some(mut some) = waiting.pop() {
            if some.len() == 1 {
                culprits.extend(self.apply_one_by_one(events, &some[0]).await?);
                continue;
            }
            let half = some.split_off(some.len() / 2);
            for part in [some, half] {
                let chosen: Vec<_> = part.iter().flatten().map(|index| events[*index]).collect();
                if self.apply(&chosen).await?.is_some() {
                    waiting.push(part);
                }
            }
        }
        Ok(culprits)
    }

    async fn apply_one_by_one(&self, events: &[&RawRecorded], stream: &[usize]) -> Result<Option<Culprit>, Setback> {
        for index in stream {
            if let Some(reason) = self.apply(&[events[*index]]).await? {
                return Ok(Some(Culprit { index: *index, reason }));
            }
        }
        Ok(None)
    }

    /// Applies events together, and asks the store to show the last of them. `Some` when the store takes others, but
    /// not these.
    async fn apply(&self, events: &[&RawRecorded]) -> Result<Option<ProjectionError>, Setback> {
        let projected = self.projection.project(events);
        match self.apply_projected(&projected, events).await {
            Ok(()) => Ok(None),
            Err(Failure::Setback(setback)) => Err(setback),
            Err(Failure::NotThese(reason)) => Ok(Some(reason)),
        }
    }

    async fn apply_projected(&self, projected: &Projected, events: &[&RawRecorded]) -> Result<(), Failure> {
        if projected.is_empty {
            return Ok(());
        }
        match self.projection.apply(projected).await {
            Ok(()) => {}
            Err(ProjectionError::Unavailable(source)) => return Err(Failure::Setback(Setback::Store(source))),
            Err(reason @ (ProjectionError::Refused(_) | ProjectionError::Poison(_))) => {
                return Err(Failure::NotThese(reason));
            }
        }
        let shown = self.projection.holds(projected).await;
        if shown.map_err(|error| Failure::Setback(Setback::Store(Source::from(error))))? {
            return Ok(());
        }
        let position = events.last().map_or(0, |event| event.position);
        Err(Failure::Setback(Setback::Unconfirmed { events: events.len(), position }))
    }
}

enum Failure {
    Setback(Setback),
    NotThese(ProjectionError),
}

/// The places of each stream's events, in the order of the batch.
fn streams(events: &[&RawRecorded]) -> Streams {
    let mut streams = BTreeMap::<StreamKey, Vec<usize>>::new();
    for (index, event) in events.iter().enumerate() {
        streams.entry(StreamKey::of(event)).or_default().push(index);
    }
    streams.into_values().collect()
}
