//! The schema versions of an event type.

use serde_json::{Map, Value};

/// Converts the fields of one version into those of the next, in place.
pub type Upcaster = fn(&mut Map<String, Value>);

/// The schema versions of one event type.
#[derive(Debug, Clone, Copy)]
pub struct VersionHistory {
    /// The event's name, e.g. `opportunity.deadline_changed`.
    pub event_type: &'static str,
    /// The version that is recorded now.
    pub current: &'static str,
    /// The earlier versions, oldest first, each with its upcaster to the next version.
    pub earlier: &'static [(&'static str, Upcaster)],
}

/// An aggregate whose events have schema versions.
pub trait VersionedEvents {
    /// The version history of each of its event types.
    const VERSION_HISTORIES: &'static [VersionHistory];
}
