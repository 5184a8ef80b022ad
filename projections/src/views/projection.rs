//! What the log's events become in `Redis`.

use std::time::Duration;

use domain::{
    clock::{Clock, SystemClock},
    context::Context,
    envelope::RawRecorded,
};
use futures::{StreamExt, stream};

use super::{ViewChange, Views, expected, stream::Stream};
use crate::{
    QueryError,
    runtime::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope},
};

/// Streams that are read or written in one round trip.
const PER_ROUND_TRIP: usize = 100;

/// Round trips that are under way together, so that the server has something to do while the next one is folded.
const IN_FLIGHT: usize = 3;

impl Projection for Views {
    const NAME: &'static str = "views";

    type Change = ViewChange;

    fn subscribes() -> &'static [Context] {
        &[Context::Opportunities, Context::Analytics]
    }

    fn pace() -> Pace {
        Pace { batch_events: 2_000, linger: Duration::from_millis(5), rebuild_events: 15_000 }
    }

    fn at(&self, generation: Generation) -> Self {
        self.at(generation)
    }

    fn project(event: &RawRecorded) -> Result<Vec<ViewChange>, ProjectionError> {
        Ok(ViewChange::of(event)?.into_iter().collect())
    }

    async fn apply(&self, changes: &[ViewChange]) -> Result<(), ProjectionError> {
        let (mut rest, mut portions) = (self.work(changes), vec![]);
        while rest.len() > PER_ROUND_TRIP {
            portions.push(rest.split_off(rest.len() - PER_ROUND_TRIP));
        }
        portions.push(rest);
        let round_trips: Vec<_> = portions.into_iter().map(|some| self.apply_some(some)).collect();
        // All of them, also after a failure: what is wrong with one stream keeps no other from being written.
        let outcomes: Vec<_> = stream::iter(round_trips).buffer_unordered(IN_FLIGHT).collect().await;
        worst(outcomes)
    }

    async fn give_up(&self, event: &RawRecorded) -> Result<(), ProjectionError> {
        match Stream::of_aggregate(&event.aggregate_type) {
            Some(stream) => self.skip(stream, &event.aggregate_id, event.sequence).await,
            None => Ok(()),
        }
    }

    async fn holds(&self, change: &ViewChange) -> Result<bool, QueryError> {
        let key = self.stream_key(Stream::of(change), &change.id);
        let (version,): (Option<u64>,) = self.ask(redis::pipe().hget(key, "version")).await?;
        Ok(version.unwrap_or_default() >= change.sequence)
    }

    async fn ping(&self) -> Result<(), QueryError> {
        self.ping().await
    }

    async fn prepare(&self) -> Result<(), QueryError> {
        self.mark().await
    }

    async fn discard(&self) -> Result<(), QueryError> {
        self.remove().await
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        expected::fold(scope, self.generation, self.lifetime, SystemClock.now())
    }

    async fn read_back(&self, scope: &Scope) -> Result<Vec<Row>, QueryError> {
        self.content(scope, SystemClock.now()).await
    }
}

/// A store that is away is told first: nothing can be said about single events then.
fn worst(outcomes: Vec<Result<(), ProjectionError>>) -> Result<(), ProjectionError> {
    let mut errors: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    errors.sort_by_key(|error| !matches!(error, ProjectionError::Unavailable(_)));
    errors.into_iter().next().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests;
