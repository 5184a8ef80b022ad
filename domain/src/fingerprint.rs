//! Identifies the code that folds an aggregate; snapshots written by other code are discarded.

use cqrs_es::Aggregate;

use crate::event_version::VersionedEvents;

/// An aggregate whose code has a fingerprint.
pub trait Fingerprint: Aggregate<Event: VersionedEvents> {
    /// Changes whenever the source code of the aggregate, the shared values or the upcasters changes (see `build.rs`).
    const FINGERPRINT: &'static str;
}
