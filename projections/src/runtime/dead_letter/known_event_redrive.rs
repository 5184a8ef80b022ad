//! Redrives events that an older release has parked because it did not know them.
//!
//! During a roll-out workers of both releases consume. An older worker parks an event of the newer release with its
//! stream; a newer worker applies it, so that no event of a roll-out waits for an operator.

use std::sync::Arc;

use domain::upcast;

use super::{ParkedStream, RedriveError, parked_stream::parked_stream_from_row};
use crate::runtime::{AnyProjection, ProjectionRuntime, control_store::postgres_error};

/// Maximum number of streams of a projection that are redriven at a time.
const MAX_STREAMS: i64 = 100;

impl ProjectionRuntime {
    /// Redrives streams of these projections whose first event was unknown to the release that parked it, and is known to
    /// this one. Returns the number of streams that are no longer parked. Safe to run in several processes at once.
    ///
    /// # Errors
    /// The first [`RedriveError`] when Postgres, a store or the schema registry does not answer. That ends the redrive of one
    /// projection only.
    pub async fn redrive_known_events(&self, projections: &[Arc<dyn AnyProjection>]) -> Result<usize, RedriveError> {
        let (mut redriven, mut outcome) = (0, Ok(()));
        for projection in projections {
            match self.redrive_projection(projection.as_ref()).await {
                Ok(streams) => redriven += streams,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| redriven)
    }

    async fn redrive_projection(&self, projection: &dyn AnyProjection) -> Result<usize, RedriveError> {
        let mut redriven = 0;
        for parked in self.find_streams_unknown_before(projection.name()).await? {
            let outcome = match self.redrive(projection, &parked).await {
                Ok(outcome) => outcome,
                // Another process was faster.
                Err(RedriveError::NotParked) => continue,
                Err(error) => return Err(error),
            };
            tracing::info!(
                projection.name = parked.projection,
                generation = %parked.generation,
                aggregate.id = &*parked.stream.aggregate_id,
                applied = outcome.applied,
                remaining = outcome.remaining,
                "redrove a stream whose event an older release did not know"
            );
            redriven += usize::from(outcome.blocked_by.is_none());
        }
        Ok(redriven)
    }

    async fn find_streams_unknown_before(&self, projection: &str) -> Result<Vec<ParkedStream>, RedriveError> {
        let (event_types, versions): (Vec<_>, Vec<_>) = upcast::known_versions().unzip();
        let found = sqlx::query(include_str!("unknown_before.sql"))
            .bind(projection)
            .bind(event_types)
            .bind(versions)
            .bind(MAX_STREAMS)
            .fetch_all(self.control.pool())
            .await
            .map_err(postgres_error("finding streams that an older release parked"))?;
        let decoded: Result<Vec<_>, sqlx::Error> = found.iter().map(parked_stream_from_row).collect();
        Ok(decoded.map_err(postgres_error("decoding a parked stream"))?)
    }
}
