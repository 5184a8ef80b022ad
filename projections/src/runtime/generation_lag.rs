//! Measures how far generations are behind the topics.

use std::{collections::BTreeSet, sync::Arc};

use super::{AnyProjection, ControlError, ProjectionRuntime, ReadModelGeneration, consumer::fetch_end_offsets};
use crate::error::BoxedError;

/// Lag of one generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationLag {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: ReadModelGeneration,
    /// Number of records on its topics that it has not consumed, with beacons.
    pub records: u64,
    /// Position up to which all events are applied or parked.
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
        let ends = fetch_end_offsets(&self.config, topics).await.map_err(|error| LagError::Kafka(error.into()))?;
        let mut lags = vec![];
        for build in self.control.load_generations().await? {
            let Some(projection) = projections.iter().find(|found| found.name() == build.projection) else { continue };
            let topics = self.config.topics(projection.subscribed_contexts());
            let checkpoint = self.control.load_checkpoint(&build.projection, build.generation).await?;
            let own_ends: Vec<_> = ends.iter().filter(|((topic, _), _)| topics.contains(topic)).collect();
            let unconsumed = own_ends.iter().map(|(partition, end)| {
                let next = checkpoint.0.get(partition).map_or(0, |applied| applied.next_offset);
                (**end - next).max(0).unsigned_abs()
            });
            let (records, position) = (unconsumed.sum(), checkpoint.applied_position(own_ends.len()));
            lags.push(GenerationLag { projection: build.projection, generation: build.generation, records, position });
        }
        Ok(lags)
    }
}
