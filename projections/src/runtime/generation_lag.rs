//! Measures how far generations are behind the topics.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Instant, SystemTime},
};

use chrono::{DateTime, Utc};

use super::{
    AnyProjection, ControlError, GenerationRecord, GenerationState, ProjectionRuntime, ReadModelGeneration,
    consumer::fetch_end_offsets,
};
use crate::error::BoxedError;

/// Lag of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationLag {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: ReadModelGeneration,
    /// The state of the generation.
    pub state: GenerationState,
    /// Number of records on its topics that it has not consumed, with beacons.
    pub records: u64,
    /// The position up to which all events are applied or parked.
    pub position: u64,
}

/// An error of measuring the lag.
#[derive(Debug, thiserror::Error)]
pub enum LagError {
    /// Checkpoints cannot be read.
    #[error("reading the checkpoints of generations")]
    Control(#[from] ControlError),
    /// The broker does not return the end offsets of partitions.
    #[error("fetching the end offsets of partitions from the broker")]
    Kafka(#[source] BoxedError),
}

impl ProjectionRuntime {
    /// Measures the lag of every generation of these projections.
    ///
    /// # Errors
    /// [`LagError`] when the broker or Postgres does not answer.
    pub async fn measure_lags(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<Vec<GenerationLag>, LagError> {
        let topics: BTreeSet<_> =
            projections.iter().flat_map(|projection| self.config.topics(projection.subscribed_contexts())).collect();
        let topics = topics.into_iter().collect();
        let asked_at = Instant::now();
        let ends = fetch_end_offsets(&self.config, topics).await.map_err(|error| LagError::Kafka(error.into()))?;
        self.recent_ends.record(&ends, asked_at);
        let mut checkpoints = self.control.load_all_checkpoints().await?;
        let mut lags = vec![];
        for build in self.control.load_generations().await? {
            let Some(projection) = projections.iter().find(|found| found.name() == build.projection) else { continue };
            let topics = self.config.topics(projection.subscribed_contexts());
            let checkpoint = checkpoints.remove(&(build.projection.clone(), build.generation)).unwrap_or_default();
            let own_ends: Vec<_> = ends.iter().filter(|((topic, _), _)| topics.contains(topic)).collect();
            let unconsumed = own_ends.iter().map(|(partition, end)| {
                let next = checkpoint.0.get(partition).map_or(0, |applied| applied.next_offset);
                (**end - next).max(0).unsigned_abs()
            });
            let (records, position) = (unconsumed.sum(), checkpoint.applied_position(own_ends.len()));
            let GenerationRecord { projection, generation, state, .. } = build;
            lags.push(GenerationLag { projection, generation, state, records, position });
        }
        Ok(lags)
    }

    /// The age of the oldest event that a generation has not applied, in seconds; 0 if it has consumed every record. `None`
    /// when the log cannot be read, and for a generation that no worker keeps up to date.
    pub(super) async fn oldest_unapplied_age_s(&self, lag: &GenerationLag) -> Option<f64> {
        match lag.state {
            GenerationState::Following if lag.records == 0 => return Some(0.0),
            GenerationState::Following => {}
            GenerationState::Building | GenerationState::Failed => return None,
        }
        self.oldest_age_after(lag.position).await
    }

    /// The age of the first event of the log after a position, in seconds; 0 without one, `None` when the log cannot be read.
    pub(super) async fn oldest_age_after(&self, position: u64) -> Option<f64> {
        let fence = self.log.load_fence().await.ok()?;
        if position >= fence {
            return Some(0.0);
        }
        let oldest = match self.log.load_after(position, fence, 1).await.ok()?.first() {
            Some(event) => event.recorded_at,
            None => return Some(0.0),
        };
        let age = (DateTime::<Utc>::from(SystemTime::now()) - oldest).to_std();
        Some(age.unwrap_or_default().as_secs_f64())
    }
}
