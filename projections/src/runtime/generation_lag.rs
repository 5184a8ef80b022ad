//! How far generations are behind the topics.

use std::{collections::BTreeSet, sync::Arc};

use super::{AnyProjection, ControlError, Generation, ProjectionRuntime, consumer::fetch_end_offsets};
use crate::error::BoxedError;

/// How far one generation is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationLag {
    /// The projection.
    pub projection: String,
    /// Its generation.
    pub generation: Generation,
    /// Records on its topics that it has not taken in, beacons included.
    pub records: u64,
    /// Up to this position everything is in it, parked events included.
    pub position: u64,
}

/// Why the lag is not known.
#[derive(Debug, thiserror::Error)]
pub enum LagError {
    /// Checkpoints cannot be read.
    #[error("reading how far generations are")]
    Control(#[from] ControlError),
    /// The broker does not say where partitions end.
    #[error("asking the broker for the ends of partitions")]
    Kafka(#[source] BoxedError),
}

impl ProjectionRuntime {
    /// How far every generation of these projections is behind.
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
            let mine: Vec<_> = ends.iter().filter(|((topic, _), _)| topics.contains(topic)).collect();
            let behind = mine.iter().map(|(place, end)| {
                let next = checkpoint.0.get(place).map_or(0, |mark| mark.next_offset);
                (**end - next).max(0).unsigned_abs()
            });
            let (records, position) = (behind.sum(), checkpoint.completed_prefix(mine.len()));
            lags.push(GenerationLag { projection: build.projection, generation: build.generation, records, position });
        }
        Ok(lags)
    }
}
