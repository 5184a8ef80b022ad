//! What a read model has to be able to do.

use std::{future::Future, time::Duration};

use domain::{context::BoundedContext, envelope::RawEnvelope};

use super::{Generation, ProjectionError, ReadModelFold, ReadModelRow, VerifyScope};
use crate::QueryError;

/// A read model that follows the log. A value of the type is a handle to one generation of it.
///
/// The runtime owns everything else: consuming, batching, order, retries, dead letters, watermarks, rebuilding,
/// verifying, metrics.
pub trait Projection: Clone + Send + Sync + 'static {
    /// Consumer group, metric label and command line argument in one; never reused.
    const NAME: &'static str;

    /// Whether it keeps a read model, which can be built anew and compared with the log; not where events are only
    /// passed on. One that keeps nothing begins with the events that are recorded after it was registered.
    const HAS_READ_MODEL: bool = true;

    /// What an event changes in the store.
    type Change: Send + Sync + 'static;

    /// The contexts whose events it wants.
    fn subscribed_contexts() -> &'static [BoundedContext];

    /// How its store likes to be written to.
    fn batch_limits() -> BatchLimits;

    /// The same read model in another generation.
    #[must_use]
    fn with_generation(&self, generation: Generation) -> Self;

    /// The same generation, which may copy what is costly to make from `live` instead of making it again.
    #[must_use]
    fn with_copy_source(&self, _live: Generation) -> Self {
        self.clone()
    }

    /// Turns an event into changes. Pure: touches no store, reads no clock.
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when the event's payload has an unknown shape.
    fn project(event: &RawEnvelope) -> Result<Vec<Self::Change>, ProjectionError>;

    /// Writes changes, in order. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ProjectionError::Unavailable`] when the store did not take all of them, [`ProjectionError::Refused`] when it
    /// takes others but not these, [`ProjectionError::Poison`] when one of them contradicts what the store holds.
    fn apply(&self, changes: &[Self::Change]) -> impl Future<Output = Result<(), ProjectionError>> + Send;

    /// An event that will never be applied is given up on purpose: the next one of its stream may follow. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// As [`Self::apply`].
    fn skip_event(&self, _event: &RawEnvelope) -> impl Future<Output = Result<(), ProjectionError>> + Send {
        async { Ok(()) }
    }

    /// Whether the store shows this change, or what came after it: asked for the last change of a batch, because stores
    /// have acknowledged writes that they did not keep.
    ///
    /// # Errors
    /// [`QueryError`] when the store does not answer.
    fn is_applied(&self, change: &Self::Change) -> impl Future<Output = Result<bool, QueryError>> + Send;

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`QueryError`] saying why not.
    fn ping(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Makes what this generation lives in: tables, a collection, a marker. Safe to repeat.
    ///
    /// # Errors
    /// [`QueryError`] when the store is away or refuses.
    fn prepare(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Removes everything of this generation. Safe to repeat.
    ///
    /// # Errors
    /// [`QueryError`] when the store is away or refuses.
    fn discard(&self) -> impl Future<Output = Result<(), QueryError>> + Send;

    /// Tells readers that do not ask this program, such as analysts with SQL, that this is the generation to read. Safe
    /// to repeat.
    ///
    /// # Errors
    /// [`QueryError`] when the store is away or refuses.
    fn publish(&self) -> impl Future<Output = Result<(), QueryError>> + Send {
        async { Ok(()) }
    }

    /// An empty fold that will say what the store should hold about the streams that are fed to it; of the totals for
    /// [`VerifyScope::Totals`].
    fn fold(&self, scope: &VerifyScope) -> Box<dyn ReadModelFold>;

    /// What the store holds.
    ///
    /// # Errors
    /// [`QueryError`] when the store does not answer or holds what cannot be read.
    fn read_back(&self, scope: &VerifyScope) -> impl Future<Output = Result<Vec<ReadModelRow>, QueryError>> + Send;
}

/// How a store likes to be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Events that are applied together, at most.
    pub batch_events: usize,
    /// How long a batch waits for more events after its first.
    pub linger: Duration,
    /// Events that are applied together in a rebuild.
    pub rebuild_events: usize,
}
