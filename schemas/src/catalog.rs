//! The schema of every version of every event that was ever recorded.
//!
//! An aggregate is one file here, an event's version one file in `avro/` and one line in its aggregate's file. How to add
//! one, and why none is ever edited, stands in `schemas/README.md`.

mod company;
mod document;
mod inbox;
mod opportunity;
mod proposal;
mod resource;
mod task;
#[cfg(test)]
mod tests;
mod visit;
mod watchlist;

use std::sync::OnceLock;

use crate::codec::{self, SchemaMismatchError, SchemaTree};

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
    shape: OnceLock<Result<SchemaTree, SchemaMismatchError>>,
}

impl EventSchema {
    fn new(event_type: &'static str, version: &'static str, subject: &'static str, json: &'static str) -> Self {
        Self { event_type, version, subject, json, shape: OnceLock::new() }
    }

    /// Appends the Avro form of a JSON payload; appends nothing when it does not fit.
    ///
    /// # Errors
    /// [`SchemaMismatchError`] naming the field that does not fit.
    pub fn encode(&self, payload: &str, into: &mut Vec<u8>) -> Result<(), SchemaMismatchError> {
        match self.shape.get_or_init(|| SchemaTree::parse(self.json)) {
            Ok(shape) => codec::encode_payload(shape, payload, into),
            Err(misfit) => Err(misfit.clone()),
        }
    }
}

/// One version of one event of an aggregate, from the file that is named after them.
macro_rules! event {
    ($aggregate:literal, $event_type:literal, $version:literal, $record:literal) => {
        $crate::catalog::EventSchema::new(
            concat!($aggregate, ".", $event_type),
            $version,
            concat!("medhub.", $aggregate, ".", $record),
            include_str!(concat!("../../avro/", $aggregate, "/", $aggregate, ".", $event_type, "-", $version, ".avsc")),
        )
    };
}
use event;

/// Every schema, by aggregate and event, the versions of an event from the first to the newest.
pub fn all_schemas() -> &'static [EventSchema] {
    static ALL: OnceLock<Vec<EventSchema>> = OnceLock::new();
    ALL.get_or_init(|| {
        [
            opportunity::schemas(),
            watchlist::schemas(),
            visit::schemas(),
            company::schemas(),
            inbox::schemas(),
            document::schemas(),
            proposal::schemas(),
            resource::schemas(),
            task::schemas(),
        ]
        .into_iter()
        .flatten()
        .collect()
    })
}

/// The schema of a version of an event, if it was ever recorded.
pub fn find_schema(event_type: &str, version: &str) -> Option<&'static EventSchema> {
    all_schemas().iter().find(|schema| schema.event_type == event_type && schema.version == version)
}
