//! Events on the wire: Avro schemas, the Confluent wire format, and the client of the schema registry.
//!
//! [`catalog`] holds the schema of every version of every event, [`codec`] converts payloads to Avro and back,
//! [`compatibility`] compares a new version of a schema with older ones, [`wire_format`] frames a record's value,
//! [`registry_client`] resolves schema ids.

pub mod catalog;
pub mod codec;
pub mod compatibility;
#[cfg(test)]
mod fixture;
mod named_schemas;
pub mod registry_client;
pub mod schema_parser;
mod storage_form;
pub mod wire_format;
