//! What a read model has to be able to do.

use std::future::Future;

use domain::{context::Context, envelope::RawRecorded};

use super::ProjectionError;

/// A read model that follows the log.
pub trait Projection: Send + Sync + 'static {
    /// Consumer group, metric label and command line argument in one; never reused.
    const NAME: &'static str;

    /// What an event changes in the store.
    type Change: Send + Sync + 'static;

    /// The contexts whose events it wants.
    fn subscribes() -> &'static [Context];

    /// Turns an event into changes. Pure: touches no store, reads no clock.
    ///
    /// # Errors
    /// [`ProjectionError::Poison`] when the event's payload has an unknown shape.
    fn project(event: &RawRecorded) -> Result<Vec<Self::Change>, ProjectionError>;

    /// Writes changes, in order. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`ProjectionError::Unavailable`] when the store did not take all of them,
    /// [`ProjectionError::Poison`] when one of them contradicts what the store holds.
    fn apply(&self, changes: &[Self::Change]) -> impl Future<Output = Result<(), ProjectionError>> + Send;
}
