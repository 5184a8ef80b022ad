//! The shapes of events on the wire: Avro schemas, the Confluent wire format, and the registry's client.
//!
//! [`catalog`] holds the schema of every version of every event, [`codec`] turns payloads into Avro and back,
//! [`compatibility`] says what a new version breaks, [`wire_format`] frames a record's value, [`registry_client`] knows the ids.

pub mod catalog;
pub mod codec;
pub mod compatibility;
#[cfg(test)]
mod fixture;
mod named_schemas;
pub mod registry_client;
pub mod schema_parser;
pub mod wire_format;
