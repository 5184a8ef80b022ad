//! The schemas of all versions of all events that were ever recorded.
//!
//! Each version of an event has a file in `avro/`, whose name says which; `build.rs` lists them. `schemas/README.md` says
//! how to add one, and why none is ever edited.

#[cfg(test)]
mod tests;

use std::sync::{LazyLock, OnceLock};

use domain::aggregates::version_histories;

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

/// All schemas, by aggregate and event in the order of the domain's lists; the versions of an event are in order, oldest
/// first.
pub fn all_schemas() -> &'static [EventSchema] {
    static ALL: LazyLock<Vec<EventSchema>> = LazyLock::new(|| {
        let mut schemas: Vec<EventSchema> = include!(concat!(env!("OUT_DIR"), "/event_schemas.rs"));
        // Stable, so that versions stay in order. A test rejects schemas that the domain does not know.
        schemas.sort_by_key(|schema| {
            version_histories().position(|history| history.event_type == schema.event_type).unwrap_or(usize::MAX)
        });
        schemas
    });
    &ALL
}

/// The schema of one version of an event; `None` if it was never recorded.
pub fn find_schema(event_type: &str, version: &str) -> Option<&'static EventSchema> {
    all_schemas().iter().find(|schema| schema.event_type == event_type && schema.version == version)
}
