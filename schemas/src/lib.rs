//! The shapes of events on the wire: Avro schemas, the Confluent wire format, and the registry's client.
//!
//! [`catalog`] holds the schema of every version of every event, [`codec`] converts payloads to Avro and back,
//! [`compatibility`] finds what a new version breaks, [`wire_format`] frames a record's value, [`registry_client`]
//! resolves schema ids.

pub mod catalog;
pub mod codec;
pub mod compatibility;
#[cfg(test)]
mod fixture;
mod named_schemas;
pub mod registry_client;
pub mod schema_parser;
pub mod wire_format;
