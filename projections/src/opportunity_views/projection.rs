//! What the log's events become in `Redis`.

use std::time::Duration;

use domain::{
    clock::{Clock, SystemClock},
    context::BoundedContext,
    envelope::RawEnvelope,
};
use futures::{StreamExt, stream};

use super::{OpportunityViews, ViewChange, verify, view_state::StreamKind};
use crate::{
    QueryError,
    runtime::{BatchLimits, Generation, Projection, ProjectionError, ReadModelFold, ReadModelRow, VerifyScope},
};

/// Streams that are read or written in one round trip.
const PER_ROUND_TRIP: usize = 100;

/// Round trips that are under way together, so that the server has something to do while the next one is folded.
const IN_FLIGHT: usize = 3;

impl Projection for OpportunityViews {
    const NAME: &'static str = "views";

    type Change = ViewChange;

    fn subscribed_contexts() -> &'static [BoundedContext] {
        &[BoundedContext::Opportunities, BoundedContext::Analytics]
    }

    fn batch_limits() -> BatchLimits {
        BatchLimits { batch_events: 2_000, linger: Duration::from_millis(5), rebuild_events: 15_000 }
    }

    fn with_generation(&self, generation: Generation) -> Self {
        self.with_generation(generation)
    }

    fn project(event: &RawEnvelope) -> Result<Vec<ViewChange>, ProjectionError> {
        Ok(ViewChange::from_event(event)?.into_iter().collect())
    }

    async fn apply(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        let (mut rest, mut portions) = (self.group_by_stream(changes), vec![]);
        while rest.len() > PER_ROUND_TRIP {
            portions.push(rest.split_off(rest.len() - PER_ROUND_TRIP));
        }
        portions.push(rest);
        let round_trips: Vec<_> = portions.into_iter().map(|some| self.apply_streams(some)).collect();
        // All of them, also after a failure: what is wrong with one stream keeps no other from being written.
        let outcomes: Vec<_> = stream::iter(round_trips).buffer_unordered(IN_FLIGHT).collect().await;
        most_severe(outcomes)
    }

    async fn skip_event(&self, event: &RawEnvelope) -> Result<(), ProjectionError> {
        match StreamKind::from_aggregate_type(&event.aggregate_type) {
            Some(stream) => self.skip_sequence(stream, &event.aggregate_id, event.sequence).await,
            None => Ok(()),
        }
    }

    async fn is_applied(&self, change: &ViewChange) -> Result<bool, QueryError> {
        let key = self.stream_key(StreamKind::from_change(change), &change.id);
        let (version,): (Option<u64>,) = self.run_pipeline(redis::pipe().hget(key, "version")).await?;
        Ok(version.unwrap_or_default() >= change.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.set_marker().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.remove_keys().await
    }

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        verify::new_fold(scope, self.generation, self.lifetime, SystemClock.now())
    }

    async fn read_back(&self, scope: &VerifyScope) -> Result<Vec<ReadModelRow>, QueryError> {
        self.scan_rows(scope, SystemClock.now()).await
    }
}

/// A store that is away is told first: nothing can be said about single events then.
fn most_severe(outcomes: Vec<Result<(), ProjectionError>>) -> Result<(), ProjectionError> {
    let mut errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| !matches!(error, ProjectionError::Unavailable(_)));
    errors.into_iter().next().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
