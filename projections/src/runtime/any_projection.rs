//! A projection without its type, so that the runtime can treat all of them alike.

use std::{any::Any, sync::Arc};

use domain::{context::BoundedContext, envelope::RawEnvelope};
use futures::{FutureExt, future::BoxFuture};

use super::{BatchLimits, Generation, Projection, ProjectionError, ReadModelFold, ReadModelRow, VerifyScope};
use crate::QueryError;

/// One generation of one projection, whatever it is made of. Every [`Projection`] is one.
pub trait AnyProjection: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// See [`Projection::HAS_READ_MODEL`].
    fn has_read_model(&self) -> bool;
    /// The contexts whose events it wants.
    fn subscribed_contexts(&self) -> &'static [BoundedContext];
    /// How its store likes to be written to.
    fn batch_limits(&self) -> BatchLimits;
    /// The same in another generation.
    fn with_generation(&self, generation: Generation) -> Arc<dyn AnyProjection>;
    /// The same generation, copying from `live` what is costly to make.
    fn with_copy_source(&self, live: Generation) -> Arc<dyn AnyProjection>;
    /// Turns events into changes; tells apart those that make no sense.
    fn project(&self, events: &[&RawEnvelope]) -> ProjectedChanges;
    /// See [`Projection::apply`].
    fn apply<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<(), ProjectionError>>;
    /// See [`Projection::skip_event`].
    fn skip_event<'a>(&'a self, event: &'a RawEnvelope) -> BoxFuture<'a, Result<(), ProjectionError>>;
    /// Whether the store shows the last of these changes.
    fn is_applied<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<bool, QueryError>>;
    /// See [`Projection::ping`].
    fn ping(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::prepare`].
    fn prepare(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::discard`].
    fn discard(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::publish`].
    fn publish(&self) -> BoxFuture<'_, Result<(), QueryError>>;
    /// See [`Projection::fold`].
    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold>;
    /// See [`Projection::read_back`].
    fn read_back<'a>(&'a self, scope: &'a VerifyScope) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>>;
}

/// Changes of a batch, and the events that gave none because they make no sense.
pub struct ProjectedChanges {
    changes: Box<dyn Any + Send + Sync>,
    /// Places in the batch, in its order, with what is wrong there.
    pub(super) poison: Vec<(usize, ProjectionError)>,
    /// Whether there is nothing to write.
    pub(super) is_empty: bool,
}

impl ProjectedChanges {
    fn changes<P: Projection>(&self) -> &[P::Change] {
        // Made by the same projection just before; a foreign one would be a defect, and is treated as no change.
        self.changes.downcast_ref::<Vec<P::Change>>().map_or(&[], Vec::as_slice)
    }
}

impl<P: Projection> AnyProjection for P {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn has_read_model(&self) -> bool {
        P::HAS_READ_MODEL
    }

    fn subscribed_contexts(&self) -> &'static [BoundedContext] {
        P::subscribed_contexts()
    }

    fn batch_limits(&self) -> BatchLimits {
        P::batch_limits()
    }

    fn with_generation(&self, generation: Generation) -> Arc<dyn AnyProjection> {
        Arc::new(Projection::with_generation(self, generation))
    }

    fn with_copy_source(&self, live: Generation) -> Arc<dyn AnyProjection> {
        Arc::new(Projection::with_copy_source(self, live))
    }

    fn project(&self, events: &[&RawEnvelope]) -> ProjectedChanges {
        let (mut changes, mut poison) = (Vec::with_capacity(events.len() * 2), Vec::new());
        for (index, event) in events.iter().enumerate() {
            match P::project(event) {
                Ok(more) => changes.extend(more),
                Err(error) => poison.push((index, error)),
            }
        }
        let is_empty = changes.is_empty();
        ProjectedChanges { changes: Box::new(changes), poison, is_empty }
    }

    fn apply<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<(), ProjectionError>> {
        Projection::apply(self, projected.changes::<P>()).boxed()
    }

    fn skip_event<'a>(&'a self, event: &'a RawEnvelope) -> BoxFuture<'a, Result<(), ProjectionError>> {
        Projection::skip_event(self, event).boxed()
    }

    fn is_applied<'a>(&'a self, projected: &'a ProjectedChanges) -> BoxFuture<'a, Result<bool, QueryError>> {
        async move {
            match projected.changes::<P>().last() {
                Some(change) => Projection::is_applied(self, change).await,
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

    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold> {
        Projection::fold(self, scope)
    }

    fn read_back<'a>(&'a self, scope: &'a VerifyScope) -> BoxFuture<'a, Result<Vec<ReadModelRow>, QueryError>> {
        Projection::read_back(self, scope).boxed()
    }
}
