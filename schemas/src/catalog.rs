//! The schemas of all versions of all events that were ever recorded.
//!
//! Each aggregate has a file here; each version of an event has a file in `avro/` and a line in the aggregate's file.
//! `schemas/README.md` says how to add one, and why none is ever edited.

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
    /// The event's schema version, e.g. `1.0`.
    pub version: &'static str,
    /// The registry's subject: the full name of the record.
    pub subject: &'static str,
    /// The schema as JSON.
    pub json: &'static str,
    tree: OnceLock<Result<SchemaTree, SchemaMismatchError>>,
}

impl EventSchema {
    /// The schema of one version; `json` is parsed when it is first used.
    pub fn new(event_type: &'static str, version: &'static str, subject: &'static str, json: &'static str) -> Self {
        Self { event_type, version, subject, json, tree: OnceLock::new() }
    }

    /// Encodes a JSON payload as Avro and appends it; appends nothing if the payload does not match the schema.
    ///
    /// # Errors
    /// [`SchemaMismatchError`] naming the field that does not match.
    pub fn encode(&self, payload: &str, into: &mut Vec<u8>) -> Result<(), SchemaMismatchError> {
        match self.tree.get_or_init(|| SchemaTree::parse(self.json)) {
            Ok(tree) => codec::encode_payload(tree, payload, into),
            Err(mismatch) => Err(mismatch.clone()),
        }
    }
}

/// The schema of one version of an event, from the file that is named after aggregate, event and version.
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

/// All schemas, by aggregate and event; the versions of an event are in order, oldest first.
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

/// The schema of one version of an event; `None` if it was never recorded.
pub fn find_schema(event_type: &str, version: &str) -> Option<&'static EventSchema> {
    all_schemas().iter().find(|schema| schema.event_type == event_type && schema.version == version)
}
