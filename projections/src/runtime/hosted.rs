//! A projection without its type, so that the runtime can treat all of them alike.

use std::{any::Any, sync::Arc};

use domain::{context::Context, envelope::RawRecorded};
use futures::{FutureExt, future::BoxFuture};

use super::{Fold, Generation, Pace, Projection, ProjectionError, Row, Scope};
use crate::QueryError;

/// One generation of one projection, whatever it is made of. Every [`Projection`] is one.
pub trait AnyProjection: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// See [`Projection::KEEPS`].
    fn keeps(&self) -> bool;
    /// The contexts whose events it wants.
    fn subscribes(&self) -> &'static [Context];
    /// How its store likes to be written to.
    fn pace(&self) -> Pace;
    /// The same in another generation.
    fn at(&self, generation: Generation) -> Arc<dyn AnyProjection>;
    /// The same generation, copying from `live` what is costly to make.
    fn beside(&self, live: Generation) -> Arc<dyn AnyProjection>;
    /// Turns events into changes; tells apart those that make no sense.
    fn project(&self, events: &[&RawRecorded]) -> Projected;
    /// See [`Projection::apply`].
    fn apply<'a>(&'a self, projected: &'a Projected) -> BoxFuture<'a, Result<(), ProjectionError>>;
    /// See [`Projection::give_up`].
    fn give_up<'a>(&'a self, event: &'a RawRecorded) -> BoxFuture<'a, Result<(), ProjectionError>>;
    /// Whether the store shows the last of these changes.
    fn holds<'a>(&'a self, projected: &'a Projected) -> BoxFuture<'a, Result<bool, QueryError>>;
    /// See [`Projection::ping`].
    fn ping(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::prepare`].
    fn prepare(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::discard`].
    fn discard(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::publish`].
    fn publish(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::fold`].
    fn fold(&self, scope: &Scope) -> Box<dyn Fold>;
    /// See [`Projection::read_back`].
    fn read_back<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Vec<Row>, QueryError>>;
}

/// Changes of a batch, and the events that gave none because they make no sense.
pub struct Projected {
    changes: Box<dyn Any + Send + Sync>,
    /// Places in the batch, in its order, with what is wrong there.
    pub(super) poison: Vec<(usize, ProjectionError)>,
    /// Whether there is nothing to write.
    pub(super) is_empty: bool,
}

impl Projected {
    fn changes<P: Projection>(&self) -> &[P::Change] {
        // Made by the same projection just before; a foreign one would be a defect, and is treated as no change.
        self.changes.downcast_ref::<Vec<P::Change>>().map_or(&[], Vec::as_slice)
    }
}

impl<P: Projection> AnyProjection for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn keeps(&self) -> bool {
        P::KEEPS
    }

    fn subscribes(&self) -> &'static [Context] {
        P::subscribes()
    }

    fn pace(&self) -> Pace {
        P::pace()
    }

    fn at(&self, generation: Generation) -> Arc<dyn AnyProjection> {
        Arc::new(Projection::at(self, generation))
    }

    fn beside(&self, live: Generation) -> Arc<dyn AnyProjection> {
        Arc::new(Projection::beside(self, live))
    }

    fn project(&self, events: &[&RawRecorded]) -> Projected {
        let (mut changes, mut poison) = (Vec::with_capacity(events.len() * 2), Vec::new());
        for (index, event) in events.iter().enumerate() {
            match P::project(event) {
                Ok(more) => changes.extend(more),
                Err(error) => poison.push((index, error)),
            }
        }
        let is_empty = changes.is_empty();
        Projected { changes: Box::new(changes), poison, is_empty }
    }

    fn apply<'a>(&'a self, projected: &'a Projected) -> BoxFuture<'a, Result<(), ProjectionError>> {
        Projection::apply(self, projected.changes::<P>()).boxed()
    }

    fn give_up<'a>(&'a self, event: &'a RawRecorded) -> BoxFuture<'a, Result<(), ProjectionError>> {
        Projection::give_up(self, event).boxed()
    }

    fn holds<'a>(&'a self, projected: &'a Projected) -> BoxFuture<'a, Result<bool, QueryError>> {
        async move {
            match projected.changes::<P>().last() {
                Some(change) => Projection::holds(self, change).await,
                None => Ok(true),
            }
        }
        .boxed()
    }

    fn ping(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::ping(self).boxed()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::prepare(self).boxed()
    }

    fn discard(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::discard(self).boxed()
    }

    fn publish(&self) -> BoxFuture<'_, Result<(), QueryError>> {
        Projection::publish(self).boxed()
    }

    fn fold(&self, scope: &Scope) -> Box<dyn Fold> {
        Projection::fold(self, scope)
    }

    fn read_back<'a>(&'a self, scope: &'a Scope) -> BoxFuture<'a, Result<Vec<Row>, QueryError>> {
        Projection::read_back(self, scope).boxed()
    }
}
